//! Accessories to verified facts or reasons; making signatures.
