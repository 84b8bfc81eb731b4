//! [`Other`]: a file that a source file uses. All files have one line of places.
//!
//! A place in another file is a [`Span`] behind the end of the first one, so that whoever holds a
//! span and the first file can show it, whichever file it is in: [`SourceFile::holding`].

use std::sync::Arc;

use super::file::SourceFile;
use super::span::Span;

/// What became of a file that was to be read.
pub type OtherText = Result<SourceFile, String>;

/// A file that another one uses.
#[derive(Debug, Clone)]
pub struct Other {
    /// By which it is found: its path as written, from where the first file is.
    key: Arc<str>,
    /// How far its places are from its own.
    base: usize,
    /// The file, or why it could not be read.
    text: OtherText,
}

impl Other {
    /// How far its places are from its own: its first byte has this offset.
    pub fn base(&self) -> usize {
        self.base
    }

    /// The file.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn file(&self) -> Result<&SourceFile, &str> {
        self.text.as_ref().map_err(String::as_str)
    }
}

impl SourceFile {
    /// The same file, with those that it uses.
    #[must_use]
    pub fn with_others(mut self, others: Vec<(String, OtherText)>) -> Self {
        // One more than its length, so that the place after its last byte is still its own.
        let mut base = self.text().len() + 1;
        let others = others.into_iter().map(|(key, text)| {
            let size = text.as_ref().map_or(0, |file| file.text().len() + 1);
            let other = Other {
                key: key.into(),
                base,
                text,
            };
            base += size;
            other
        });
        self.others = others.collect();
        self
    }

    /// The file that this one uses under a key, or `None` if it was not asked for.
    pub fn other(&self, key: &str) -> Option<&Other> {
        self.others.iter().find(|other| &*other.key == key)
    }

    /// The files that this one uses and that could be read.
    pub fn other_files(&self) -> impl Iterator<Item = &Self> {
        self.others
            .iter()
            .filter_map(|other| other.text.as_ref().ok())
    }

    /// The file that a place is in, and the place in it.
    pub fn holding(&self, span: Span) -> (&Self, Span) {
        let mut others = self.others.iter().rev();
        let found = others.find_map(|other| {
            let file = other
                .text
                .as_ref()
                .ok()
                .filter(|_| other.base <= span.start)?;
            Some((
                file,
                Span::new(span.start - other.base, span.end - other.base),
            ))
        });
        found.unwrap_or((self, span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_leads_to_the_file_that_it_is_in() {
        let other =
            |path: &str, text: &str| (path.to_owned(), Ok(SourceFile::from_text(path, text)));
        let file = SourceFile::from_text("a.yaml", "first").with_others(vec![
            other("b.yaml", "second"),
            ("c.yaml".to_owned(), Err("no such file".to_owned())),
            other("d.yaml", "third"),
        ]);
        let text = |start, end| {
            let (holder, span) = file.holding(Span::new(start, end));
            (holder.path().to_owned(), holder.slice(span).to_owned())
        };
        assert_eq!(text(0, 5), ("a.yaml".to_owned(), "first".to_owned()));
        assert_eq!(text(5, 5), ("a.yaml".to_owned(), String::new()));
        assert_eq!(file.other("b.yaml").unwrap().base(), 6);
        assert_eq!(text(6, 12), ("b.yaml".to_owned(), "second".to_owned()));
        assert_eq!(file.other("d.yaml").unwrap().base(), 13);
        assert_eq!(text(13, 18), ("d.yaml".to_owned(), "third".to_owned()));
        assert_eq!(
            file.other("c.yaml").unwrap().file().unwrap_err(),
            "no such file"
        );
        assert!(file.other("e.yaml").is_none());
    }
}
