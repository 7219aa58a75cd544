//! Policy documents and the pure function that turns facts into a verdict.
