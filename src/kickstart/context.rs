//! What templates see of a profile, as objects that are asked, not copied: a Kickstart file has hundreds of scripts, and
//! most templates never look at an attribute.

use crate::profile::{Origin, Profile};
use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::sync::Arc;

/// A script: what follows `%pre` or `%post`, with a blank before it, and a text that fits.
#[derive(Debug)]
struct ScriptObject {
    head: Value,
    text: Value,
}

impl Object for ScriptObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "head" => Some(self.head.clone()),
            "text" => Some(self.text.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["head", "text"])
    }
}

/// A script as templates see it.
pub(super) fn script(head: Arc<str>, text: Arc<str>) -> Value {
    Value::from_object(ScriptObject { head: head.into(), text: text.into() })
}

/// A node file and its roll.
#[derive(Debug)]
struct NodeObject {
    file: Arc<str>,
    roll: Arc<str>,
}

impl Object for NodeObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "file" => Some(self.file.clone().into()),
            "roll" => Some(self.roll.clone().into()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["file", "roll"])
    }
}

/// A node file as templates see it.
pub(super) fn node(origin: &Origin) -> Value {
    Value::from_object(NodeObject { file: origin.file.clone(), roll: origin.roll.clone() })
}

/// All attributes of a host: sorted by name.
#[derive(Debug)]
struct AttributesObject(Vec<(Arc<str>, Arc<str>)>);

impl Object for AttributesObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| &**name == key).map(|(_, value)| value.clone().into())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(name, _)| name.clone().into()).collect())
    }
}

/// A host's attributes as templates see them.
pub(super) fn attributes(profile: &Profile) -> Value {
    Value::from_object(AttributesObject(profile.attributes.clone()))
}
