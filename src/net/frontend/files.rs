//! Files over HTTP: ranges, validators, types (RFC 9110, sections 8.8, 13, 14).

use super::pads;
use crate::net::http::{Body, ByteRange, FileSlice, Request, Response, Segment};
use crate::net::tree::{Tree, TreeFile};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Answers a `GET` or `HEAD` of a file; its bytes are counted as they leave. Pads are served, and not counted.
pub(super) async fn answer(request: &Request, tree: &Arc<Tree>, path: &str, sent: &Arc<AtomicU64>) -> Response {
    match tree.file(path).await {
        Some(file) => match with_file(request, &file) {
            response @ Response { status: 200 | 206, .. } => response.counted(sent),
            response => response,
        },
        None => match pads::length_bytes(path) {
            Some(length_bytes) => pads::answer(request, length_bytes),
            None => Response::text(404, "no such file in this distribution"),
        },
    }
}

fn with_file(request: &Request, file: &TreeFile) -> Response {
    let headers = &request.head.headers;
    let validated = |response: Response| Response { prepared: Some(Arc::clone(&file.fields)), ..response };
    let nothing = |status| validated(Response::with_body(status, Body::Whole(Segment::Bytes(Bytes::new()))));
    let is_unchanged = || headers.get("if-modified-since") == Some(&file.last_modified);
    if headers.names_tag(&file.etag).unwrap_or_else(is_unchanged) {
        return nothing(304);
    }
    let range = request.range();
    let is_current =
        range.is_some() && headers.get("if-range").is_none_or(|tag| tag == file.etag || tag == file.last_modified);
    let length = file.length_bytes;
    let (status, part) = match ByteRange::parse(range.filter(|_| is_current), length) {
        ByteRange::Whole => (200, 0..length),
        ByteRange::Part(part) => (206, part),
        ByteRange::Unsatisfiable => return nothing(416).with("Content-Range", format!("bytes */{length}")),
    };
    let body = match &file.content {
        Some(content) => Segment::Bytes(content.slice(part.start as usize..part.end as usize)),
        None => Segment::File(FileSlice {
            file: Arc::clone(&file.file),
            offset: part.start,
            length_bytes: part.end - part.start,
        }),
    };
    let response = validated(Response::with_body(status, Body::Whole(body)));
    match status {
        206 => response.with("Content-Range", format!("bytes {}-{}/{length}", part.start, part.end - 1)),
        _ => response,
    }
}
