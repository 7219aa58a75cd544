//! The entry point that fuzzing drives; the kept inputs are replayed by a plain test.

use crate::{images, review::Request};

/// An AdmissionReview: parsed, its images found. No panic, no growth beyond the input.
pub fn review(data: &[u8]) {
    let Ok(request) = Request::parse(data) else { return };
    let _ = request.object_name();
    let Ok(found) = images::newly_named(&request) else { return };
    for place in found {
        let image = request.object.pointer(&place.pointer).and_then(|image| image.as_str());
        assert_eq!(image, Some(place.image.as_str()));
    }
}
