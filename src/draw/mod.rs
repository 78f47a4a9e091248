//! SVG: traffic over time, the configuration graph; and the page a picture stands on.
//!
//! * [`Traffic`], [`Run`], [`Sample`]: what left the frontend over time, one lane a run.
//! * [`Diagram`]: a directed graph in columns.
//! * [`Page`]: a picture with a table, one HTML file that opens from disk.
//!
//! Everything is a pure function of its input: the same runs make the same bytes.

mod graph;
mod page;
mod scale;
mod traffic;

pub use graph::{Diagram, DiagramEdge, DiagramNode, colour};
pub use page::Page;
pub use traffic::{Run, Sample, Traffic};

/// Escapes a text for XML, in content and in attributes; what XML 1.0 cannot hold is left out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c < ' ' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_is_escaped_for_xml() {
        assert_eq!(escape("a<b> & \"c\" 'd'\u{0}\u{1b}\n"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\n");
    }
}
