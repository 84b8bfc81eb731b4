//! The content of a file: whole or one byte range of it, or only its head, with the conditions of
//! RFC 9110 that upstream's file server keeps. Several ranges at once are answered with the whole.

use std::fs::{File, Metadata};
use std::io::SeekFrom;
use std::time::UNIX_EPOCH;

use futures::StreamExt;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MODIFIED_SINCE, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::super::http::{Body, BoxError, full};
use super::reply::{Refusal, bare, plain};

/// Bytes read at a time.
const CHUNK: usize = 128 * 1024;

/// Whether the content is wanted or only what would be said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Content,
    HeadOnly,
}

/// Answers with a file.
///
/// # Errors
/// [`Refusal::Internal`] if the file cannot be read at the place that was asked for.
pub(super) async fn send(
    file: File,
    metadata: &Metadata,
    conditions: &HeaderMap,
    extent: Extent,
) -> Result<Response<Body>, Refusal> {
    let modified = seconds(metadata);
    let text = |name: HeaderName| conditions.get(name).and_then(|value| value.to_str().ok());
    if text(IF_MODIFIED_SINCE)
        .and_then(parse_date)
        .is_some_and(|since| modified <= since)
    {
        let mut response = bare(StatusCode::NOT_MODIFIED);
        put(response.headers_mut(), LAST_MODIFIED, &http_date(modified));
        return Ok(response);
    }
    let same = text(IF_RANGE).is_none_or(|since| parse_date(since) == Some(modified));
    let range = text(RANGE).filter(|_| same);
    let size = metadata.len();
    let asked = range.map_or(Asked::Whole, |range| Asked::parse(range, size));
    let (status, start, length) = match asked {
        Asked::Whole => (StatusCode::OK, 0, size),
        Asked::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Asked::Malformed => {
            return Ok(plain(StatusCode::RANGE_NOT_SATISFIABLE, "invalid range\n"));
        }
        Asked::Beyond => return Ok(beyond(size)),
    };
    let body = match extent {
        Extent::HeadOnly => full(""),
        Extent::Content => content(file, start, length).await?,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    put(headers, CONTENT_TYPE, "application/octet-stream");
    put(headers, CONTENT_LENGTH, &length.to_string());
    put(headers, LAST_MODIFIED, &http_date(modified));
    put(headers, ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        put(headers, CONTENT_RANGE, &range);
    }
    Ok(response)
}

async fn content(file: File, start: u64, length: u64) -> Result<Body, Refusal> {
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(CHUNK);
    if start > 0 {
        let sought = file.seek(SeekFrom::Start(start)).await;
        sought.map_err(|error| Refusal::io("seek", &error))?;
    }
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK);
    let frames = stream.map(|chunk| chunk.map(Frame::data).map_err(BoxError::from));
    Ok(StreamBody::new(frames).boxed_unsync())
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn beyond(size: u64) -> Response<Body> {
    let text = "invalid range: failed to overlap\n";
    let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, text);
    put(
        response.headers_mut(),
        CONTENT_RANGE,
        &format!("bytes */{size}"),
    );
    response
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part { start: u64, length: u64 },
    Malformed,
    Beyond,
}

impl Asked {
    fn parse(text: &str, size: u64) -> Self {
        let Some(ranges) = text.strip_prefix("bytes=") else {
            return Self::Malformed;
        };
        if ranges.contains(',') {
            return Self::Whole;
        }
        let Some((first, last)) = ranges.trim().split_once('-') else {
            return Self::Malformed;
        };
        let (first, last) = (first.trim(), last.trim());
        let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(start), Ok(last)) if start <= last => (start, last.saturating_add(1).min(size)),
            (Ok(start), Err(_)) if last.is_empty() => (start, size),
            (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
            _ => return Self::Malformed,
        };
        if start < end {
            let length = end - start;
            Self::Part { start, length }
        } else if size == 0 && start == 0 {
            Self::Whole
        } else {
            Self::Beyond
        }
    }
}

/// Seconds since 1970 of the last change.
pub(super) fn seconds(metadata: &Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// A time of RFC 3339 in UTC with whole seconds.
pub(super) fn timestamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

fn http_date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn parse_date(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    time.ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_upstreams_file_server_reads_them() {
        let part = |start, length| Asked::Part { start, length };
        for (text, size, wanted) in [
            ("bytes=0-3", 10, part(0, 4)),
            ("bytes=4-", 10, part(4, 6)),
            ("bytes=-3", 10, part(7, 3)),
            ("bytes=-30", 10, part(0, 10)),
            ("bytes=8-100", 10, part(8, 2)),
            ("bytes=10-", 10, Asked::Beyond),
            ("bytes=5-4", 10, Asked::Malformed),
            ("bytes=x", 10, Asked::Malformed),
            ("lines=1-2", 10, Asked::Malformed),
            ("bytes=0-1,3-4", 10, Asked::Whole),
            ("bytes=-1", 0, Asked::Whole),
        ] {
            assert_eq!(Asked::parse(text, size), wanted, "{text} of {size}");
        }
    }

    #[test]
    fn dates_are_written_and_read_back() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            parse_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(timestamp(784_111_777), "1994-11-06T08:49:37Z");
    }
}
