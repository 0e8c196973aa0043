//! A text as a picture of squares (ISO/IEC 18004) that an app scans, drawn as SVG.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Squares that stay free around it, without which none is found.
const BORDER: i32 = 4;

/// None: the text is too long for one.
pub(super) fn qr_svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            write!(path, "M{} {}h1v1h-1z", x + BORDER, y + BORDER).ok()?;
        }
    }
    let size = code.size() + 2 * BORDER;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" role=\"img\" aria-label=\"QR code\">\
         <path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::qr_svg;

    #[test]
    fn what_is_drawn_is_as_large_as_its_text_and_has_its_three_corners() {
        let svg = qr_svg("otpauth://totp/shop:ann@example.com?secret=ABC").unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
        // The upper left corner is a square of seven.
        for x in 4..11 {
            assert!(svg.contains(&format!("M{x} 4h1")), "{svg}");
        }
        assert!(qr_svg(&"x".repeat(5000)).is_none());
    }
}
