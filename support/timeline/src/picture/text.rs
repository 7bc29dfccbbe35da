/// The width of a character of the picture's font, on average, in units of its `viewBox`.
const CHARACTER: f64 = 7.6;

/// The longest name in a tooltip or a description, in characters. A longer one is cut, so that the
/// size of the picture has a bound.
pub(super) const NAME: usize = 60;

/// About the width of a text.
pub(super) fn length(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// The start of a text, with at most `most` characters.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Any text as XML, without the characters that XML forbids even when escaped.
pub(super) fn escape(text: &str) -> String {
    let is_not_xml =
        |it: char| (it.is_control() && it != '\t') || matches!(it, '\u{FFFE}' | '\u{FFFF}');
    let text = text.replace(is_not_xml, "\u{FFFD}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
