//! The page a picture stands on: one HTML file with everything in it, so that it opens from disk without a network.

use minijinja::{AutoEscape, Environment, context};

/// The page's template.
const TEMPLATE: &str = include_str!("../../templates/traffic.html.j2");

/// A picture with what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The heading.
    pub title: String,
    /// What is seen and how it was measured, a paragraph each.
    pub paragraphs: Vec<String>,
    /// The table's headings, as many as a row has cells.
    pub headings: Vec<String>,
    /// The table's rows; none makes no table.
    pub rows: Vec<Vec<String>>,
    /// The picture: SVG, put in as it is.
    pub svg: String,
    /// The small print.
    pub foot: String,
}

impl Page {
    /// The page as HTML, every text escaped.
    pub fn to_html(&self) -> String {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let Self { title, paragraphs, headings, rows, svg, foot } = self;
        environment
            .render_str(TEMPLATE, context! { title, paragraphs, headings, rows, picture => svg, foot })
            .expect("the compiled-in template only uses what it is given")
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn a_page_holds_everything_and_escapes_its_texts() {
        let page = Page {
            title: "a <b> & c".into(),
            paragraphs: vec!["\"quoted\"".into()],
            headings: vec!["run".into(), "seconds".into()],
            rows: vec![vec!["<script>".into(), "3.1".into()]],
            svg: "<svg><title>x</title></svg>\n".into(),
            foot: "made by 'rocks'".into(),
        };
        let html = page.to_html();
        assert!(html.contains("<h1>a &lt;b&gt; &amp; c</h1>"), "{html}");
        assert!(html.contains("<td>&lt;script&gt;</td><td>3.1</td>"), "{html}");
        assert!(html.contains("<figure>\n<svg><title>x</title></svg>\n</figure>"), "{html}");
        assert!(!html.contains("src=") && !html.contains("href="), "nothing comes from elsewhere");
    }
}
