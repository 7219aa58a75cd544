use crate::{GateInput, evaluate, parse};

/// What the fuzz target `policy` does: any text is read or refused, and what is read can be written
/// and read again as the same.
pub fn fuzz_policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = parse(text) else { return };
    let written = serde_json::to_string(&document).unwrap_or_default();
    assert_eq!(parse(&written).as_ref(), Ok(&document), "{written}");
}

/// What the fuzz target `gate_input` does: any bytes are read or refused, and what is read is
/// judged, twice the same.
pub fn fuzz_gate_input(bytes: &[u8]) {
    let Ok(input) = GateInput::parse(bytes) else { return };
    let verdict = evaluate(&input);
    assert!(verdict.reasons.iter().all(|reason| reason.action <= verdict.action));
    let Ok(canonical) = input.canonical_bytes() else { return };
    let again = GateInput::parse(&canonical);
    assert_eq!(again.map(|again| evaluate(&again).action), Ok(verdict.action));
}
