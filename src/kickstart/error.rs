//! What can go wrong in stage 2.

/// Why a profile does not become a Kickstart file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KickstartError {
    /// A template does not parse, or does not render.
    #[error("{}: {problem}", place(.template, *.line))]
    Template {
        /// The template's file name.
        template: String,
        /// The line in it, from 1.
        line: Option<u32>,
        /// What is wrong there.
        problem: String,
    },
    /// An element where stage 2 knows no meaning for it.
    #[error("{file}: <{child}> cannot stand inside <{parent}>")]
    MisplacedElement {
        /// The node file it was written in.
        file: String,
        /// The element's tag.
        child: String,
        /// The tag of the element around it.
        parent: String,
    },
    /// A `<boot>` for no known moment.
    #[error("{file}: order '{order}' of <boot> is neither 'pre' nor 'post'")]
    BootOrder {
        /// The node file it was written in.
        file: String,
        /// Its `order`.
        order: String,
    },
    /// A condition that does not parse or cannot be judged.
    #[error("{file}: condition '{}': {problem}", crate::profile::cond::shown(.condition))]
    Condition {
        /// The node file it was written in.
        file: String,
        /// The condition as written.
        condition: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn place(template: &str, line: Option<u32>) -> String {
    match line {
        Some(line) => format!("templates/{template}:{line}"),
        None => format!("templates/{template}"),
    }
}
