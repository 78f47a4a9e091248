//! A profile as XML, as the original prints it: the host's attributes as entities, then every element with the roll
//! and the file it came from.

use super::{Content, Element, Profile, xml};

impl Profile {
    /// The profile as XML. Its text must hold only characters that XML knows, which stage 1 sees to.
    pub fn to_xml(&self) -> String {
        let mut out = String::with_capacity(64 << 10);
        out.push_str("<?xml version=\"1.0\" standalone=\"no\"?>\n<!DOCTYPE rocks-graph [\n");
        for (name, value) in &self.attributes {
            out.push_str("\t<!ENTITY ");
            out.push_str(name);
            out.push_str(" \"");
            xml::escape_entity(value, &mut out);
            out.push_str("\">\n");
        }
        out.push_str("]>\n<kickstart attrs=\"{");
        for (i, (name, _)) in self.attributes.iter().enumerate() {
            out.push_str(if i == 0 { "'" } else { ", '" });
            out.push_str(name);
            out.push_str("': '&");
            out.push_str(name);
            out.push_str(";'");
        }
        out.push_str("}\">\n");
        self.write_files(&mut out);
        for element in &self.elements {
            write_element(element, &mut out);
            out.push('\n');
        }
        out.push_str("</kickstart>\n");
        out
    }

    /// Files come along where the original has words for its own loader.
    fn write_files(&self, out: &mut String) {
        if self.files.is_empty() {
            return;
        }
        out.push_str("<loader>\n");
        for (path, text) in &self.files {
            out.push_str("<include");
            write_attribute("path", path, out);
            out.push('>');
            xml::escape_text(text, out);
            out.push_str("</include>\n");
        }
        out.push_str("</loader>\n");
    }
}

fn write_element(element: &Element, out: &mut String) {
    out.push('<');
    out.push_str(&element.name);
    for (name, value) in &element.attributes {
        write_attribute(name, value, out);
    }
    write_attribute("roll", &element.origin.roll, out);
    write_attribute("file", &element.origin.file, out);
    out.push('>');
    for child in &element.children {
        match child {
            Content::Text(text) => xml::escape_text(text, out),
            Content::Element(inner) => write_element(inner, out),
        }
    }
    out.push_str("</");
    out.push_str(&element.name);
    out.push('>');
}

fn write_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    xml::escape_attribute(value, out);
    out.push('"');
}
