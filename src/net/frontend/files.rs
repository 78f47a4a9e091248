//! Files over HTTP: ranges, validators, types (RFC 9110, sections 8.8, 13, 14).

use super::pads;
use crate::net::http::{Body, ByteRange, FileSlice, Request, Response, Segment};
use crate::net::tree::{Tree, TreeFile};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Answers a `GET` or `HEAD` of a file; its bytes are counted as they leave. Pads are served, and not counted.
pub(super) async fn answer(request: &Request, tree: &Arc<Tree>, path: &str, sent: &Arc<AtomicU64>) -> Response {
    match tree.file(path).await {
        Some(file) => match with_file(request, &file, content_type(path)) {
            response @ Response { status: 200 | 206, .. } => response.counted(sent),
            response => response,
        },
        None => match pads::length_bytes(path) {
            Some(length_bytes) => pads::answer(request, length_bytes),
            None => Response::text(404, "no such file in this distribution"),
        },
    }
}

fn with_file(request: &Request, file: &TreeFile, content_type: &str) -> Response {
    let headers = &request.head.headers;
    let validated = |response: Response| {
        response
            .with("ETag", file.etag.clone())
            .with("Last-Modified", file.last_modified.clone())
            .with("Accept-Ranges", "bytes")
    };
    let unchanged = match headers.get("if-none-match") {
        Some(tags) => tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == file.etag),
        None => headers.get("if-modified-since") == Some(&file.last_modified),
    };
    if unchanged {
        return validated(Response::text(304, ""));
    }
    let is_current = headers.get("if-range").is_none_or(|tag| tag == file.etag || tag == file.last_modified);
    let range = headers.get("range").filter(|_| is_current);
    let length = file.length_bytes;
    let (status, part) = match ByteRange::parse(range, length) {
        ByteRange::Whole => (200, 0..length),
        ByteRange::Part(part) => (206, part),
        ByteRange::Unsatisfiable => {
            let refused = Response::text(416, "the file does not have these bytes");
            return validated(refused).with("Content-Range", format!("bytes */{length}"));
        }
    };
    let slice = FileSlice { file: Arc::clone(&file.file), offset: part.start, length_bytes: part.end - part.start };
    let mut response = Response::file(status, content_type, slice);
    if status == 206 {
        response = response.with("Content-Range", format!("bytes {}-{}/{length}", part.start, part.end - 1));
    }
    if length == 0 {
        response.body = Body::Whole(Segment::Bytes(bytes::Bytes::new()));
    }
    validated(response)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("rpm") => "application/x-rpm",
        Some("xml") => "text/xml",
        Some("gz") => "application/gzip",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
