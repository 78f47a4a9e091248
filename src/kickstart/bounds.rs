//! What rendering may use up, whatever a site's own templates say: steps, text, the width of what is padded.
//!
//! A template may still join texts until the memory ends; the commands that render a site's templates look at that.

use super::KickstartError;
use minijinja::filters;
use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Rest, StringInput, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Value};
use std::io;

/// The most steps of one rendering; the largest shipped Kickstart takes some ten thousand.
pub(super) const STEPS_MAX: u64 = 20_000_000;
/// The largest text that is rendered, in bytes.
pub(super) const RENDERED_BYTES_MAX: usize = 64 << 20;
/// The largest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 4 << 20;
/// The widest a value is padded or a text indented, in characters.
const WIDTH_MAX: usize = 9_999;

/// Sets the bounds that the templates' engine keeps itself.
pub(super) fn set(templates: &mut Environment<'static>) {
    templates.set_fuel(Some(STEPS_MAX));
    templates.add_filter("format", padded);
    templates.add_filter("indent", indented);
    templates.add_filter("tojson", json);
}

/// Refuses a template that is too large to be compiled.
pub(super) fn check_size(name: &str, text: &str) -> Result<(), KickstartError> {
    match text.len() > TEMPLATE_BYTES_MAX {
        true => Err(KickstartError::Template {
            template: name.to_owned(),
            line: None,
            problem: format!("is larger than {} MB", TEMPLATE_BYTES_MAX >> 20),
        }),
        false => Ok(()),
    }
}

/// What is said of a template that went on for too long.
pub(super) fn out_of_steps() -> String {
    format!("takes more than {STEPS_MAX} steps: does a loop end?")
}

/// `"%5d"|format(7)`.
fn padded(text: &str, values: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let widths = text.split(|c: char| !c.is_ascii_digit()).filter(|number| number.len() > 4);
    let of_values = values.iter().filter(|value| text.contains('*') && value.as_usize().is_some_and(|n| n > WIDTH_MAX));
    if widths.count() + of_values.count() > 0 {
        return Err(wide());
    }
    let values: Vec<_> = values.0.into_iter().map(ValueOrKwargs::into_value).collect();
    format(FormatStyle::Printf, text, &values)
}

/// `text|indent(4)`.
fn indented(
    text: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    narrow(width.or(named.peek("width")?))?;
    filters::indent(text, width, first, blank, named)
}

/// `value|tojson(indent=2)`.
fn json(value: &Value, indent: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let named_indent: Option<Value> = named.peek("indent")?;
    narrow(indent.as_ref().or(named_indent.as_ref()).and_then(Value::as_usize))?;
    filters::tojson(value, indent, named)
}

fn narrow(width: Option<usize>) -> Result<(), Error> {
    if width.is_some_and(|width| width > WIDTH_MAX) { Err(wide()) } else { Ok(()) }
}

fn wide() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("nothing is padded or indented by more than {WIDTH_MAX}"))
}

/// Text on its way out of a template, up to the largest there may be.
#[derive(Default)]
pub(super) struct Rendered {
    bytes: Vec<u8>,
    /// Whether more came than there may be.
    pub(super) is_full: bool,
}

impl Rendered {
    /// The text.
    pub(super) fn into_text(self) -> String {
        String::from_utf8(self.bytes).expect("templates write text")
    }
}

impl io::Write for &mut Rendered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > RENDERED_BYTES_MAX {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::Release;
    use crate::kickstart::Renderer;
    use crate::profile::Profile;
    use std::collections::BTreeMap;

    fn render(template: &str) -> Result<String, String> {
        let overrides = BTreeMap::from([("kickstart.cfg.j2".to_owned(), template.to_owned())]);
        let renderer = Renderer::new(&overrides).map_err(|error| error.to_string())?;
        renderer.render(&Profile::default(), Release::Rhel9).map_err(|error| error.to_string())
    }

    #[test]
    fn templates_end() {
        let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
        let endless = render(loops).expect_err("it would take hours");
        assert!(endless.starts_with("templates/kickstart.cfg.j2:1: takes more than 20000000 steps"), "{endless}");
        for (template, expected) in [
            ("{{ 'x' * 99999999 }}{{ 'x' * 99999999 }}", "larger than 64 MB"),
            ("{% include 'kickstart.cfg.j2' %}", "recursion limit"),
            ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "recursion limit"),
            ("{{ 'a\nb'|indent(99999999999) }}", "by more than 9999"),
            ("{{ 'a\nb'|indent(width=99999999999) }}", "by more than 9999"),
            ("{{ '%99999999999d'|format(1) }}", "by more than 9999"),
            ("{{ '%*d'|format(99999999999, 1) }}", "by more than 9999"),
            ("{{ [1]|tojson(indent=99999999999) }}", "by more than 9999"),
            (&"x".repeat(super::TEMPLATE_BYTES_MAX + 1), "larger than 4 MB"),
        ] {
            let error = render(template).expect_err("it is too much");
            assert!(error.starts_with("templates/kickstart.cfg.j2") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_bounded_works_as_ever() {
        let template = "{{ '%03d %(a)s'|format(7) if false else '%s-%03d'|format('a', 7) }} {{ 'a\nb'|indent(2) }} {{ [1]|tojson(indent=2) }} {{ '%(x)s'|format(x='y') }}";
        assert_eq!(render(template).as_deref(), Ok("a-007 a\n  b [\n  1\n] y"));
    }
}
