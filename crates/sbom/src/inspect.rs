use crate::{
    Compression, LayerContents, Limits,
    archive::{Stream, Walker},
    collect::Collector,
    compression::Expanded,
    reasons::code,
};
use std::io::Read;

/// Reads one layer blob to its end in one pass, or as far as it takes to see that it is no archive,
/// and never fails: whatever goes wrong is a reason in the result. `reader` gives the blob as
/// stored (gzip, zstd or plain tar, told by magic bytes).
///
/// Memory is bounded by `limits`, not by what the layer says of itself: about 40 bytes per entry
/// while it runs, what is kept of package files, and the decompressor's window.
pub fn inspect_layer(reader: impl Read, limits: &Limits) -> LayerContents {
    let mut collector = Collector::new(limits);
    let source = match Expanded::new(reader, limits) {
        Ok(source) => source,
        Err(fault) => {
            collector.reasons.add(fault.code, || fault.detail);
            return collector.finish();
        }
    };
    let mut stream = Stream::new(source);
    let compression = stream.source().compression();
    let mut entries = 0;
    if compression == Compression::Unsupported {
        collector.reasons.add(code::UNSUPPORTED_COMPRESSION, || {
            "the layer is compressed in a form that container runtimes do not read".to_owned()
        });
    } else {
        entries = Walker::new(&mut stream, limits).run(&mut collector);
    }
    if let Some(fault) = stream.take_fault() {
        collector.reasons.add(fault.code, || fault.detail);
    }
    let (compressed_bytes, expanded_bytes) =
        (stream.source().compressed_bytes(), stream.expanded());
    let mut contents = collector.finish();
    contents.compression = compression;
    contents.compressed_bytes = compressed_bytes;
    contents.expanded_bytes = expanded_bytes;
    contents.entries = entries;
    contents.diff_id = stream.diff_id();
    contents
}

/// Entry point of the fuzz target `layer`: reads `data` as a layer under small limits, writes the
/// result and reads it back.
pub fn fuzz_layer(data: &[u8]) -> LayerContents {
    inspect_layer(data, &small_limits())
}

/// Limits under which an input of a few kilobytes cannot take long.
pub(crate) fn small_limits() -> Limits {
    Limits {
        max_expanded_bytes: 16 << 20,
        max_entries: 10_000,
        max_kept_bytes: 1 << 20,
        ..Limits::default()
    }
}
