//! Making text safe in HTML: everything that came from outside goes through [`e`].

use std::fmt::{self, Write as _};

/// A text that shows itself as text, in content and in quoted attributes alike.
pub(super) struct Escaped<'a>(&'a str);

/// Marks a text from outside.
pub(super) fn e(text: &str) -> Escaped<'_> {
    Escaped(text)
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                // Neither control characters nor those that turn the direction of what follows.
                c if c.is_control()
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    f.write_char('\u{fffd}')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// JSON inside of a `script` element: no text can end that.
pub(super) fn json(value: &serde_json::Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(
            e("<a href='x' b=\"y\">&\u{1b}[31m\u{202e}").to_string(),
            "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;\u{fffd}[31m\u{fffd}"
        );
        let hostile = serde_json::json!({ "a": "</script><!--" });
        assert!(!json(&hostile).contains("</"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json(&hostile)).unwrap(),
            hostile
        );
    }
}
