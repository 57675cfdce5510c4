//! Recorded bytes of whatever kind.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use bytes::Bytes;

use crate::content::{Content, Java};
use crate::cutter::{Cutter, Piece};
use crate::decoded::Decoded;
use crate::direction::Direction;
use crate::event::{Event, What};
use crate::hex::{from_hex, is_hex};
use crate::json::Fields;
use crate::recording;
use crate::story::{Story, Style, Told};
use crate::watch::Watch;

/// What recorded bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A recording of the tap.
    Recording,
    /// A Java object stream.
    Java,
    /// Frames of one direction, one after the other; and everything that is nothing else.
    Frames,
    /// The body of a request or one-way message, without its frame.
    Body,
    /// Content of the native codec.
    Native,
}

impl Kind {
    /// Recognises what bytes are by how they begin.
    pub fn of(bytes: &Bytes) -> Self {
        if recording::is_recording(bytes) {
            return Self::Recording;
        }
        if bytes.starts_with(&[0xac, 0xed]) {
            return Self::Java;
        }
        // A frame of less than 4 GiB begins with four zeros.
        let is_frame = bytes.starts_with(&[0; 4]) || bytes.len() < 4;
        if !is_frame && let Ok((_, length)) = spark_rpc_wire::Envelope::decode(bytes) {
            let content = bytes.slice(length..);
            if Content::of_codec(&content, &Style::default().limits).is_some() {
                return Self::Body;
            }
        }
        match Content::of_codec(bytes, &Style::default().limits) {
            Some(_) if !is_frame => Self::Native,
            _ => Self::Frames,
        }
    }
}

/// Makes bytes of hexadecimal digits, if that is what they are.
///
/// # Errors
///
/// Returns the place of what is no digit, if they begin like digits.
pub fn unhex(input: Bytes) -> Result<Bytes, usize> {
    match is_hex(&input) {
        true => from_hex(&input).map(Bytes::from),
        false => Ok(input),
    }
}

/// Tells what recorded bytes of any kind mean, piece by piece.
///
/// [`Story::problems`] says afterwards whether all of it made sense. The style's `connections` is chosen by the kind.
pub fn decode(input: &Bytes, style: Style, out: &mut dyn FnMut(Told)) -> Story {
    let kind = Kind::of(input);
    let mut story = Story::new(Style {
        connections: kind == Kind::Recording,
        ..style
    });
    match kind {
        _ if input.is_empty() => out(story.problem(0, "there is nothing")),
        Kind::Recording => {
            for (at, line) in input.split(|byte| *byte == b'\n').enumerate() {
                event(at + 1, line, &mut story, out);
            }
        }
        Kind::Java => java(input, &mut story, out),
        Kind::Frames => frames(&input[..], &mut story, out).expect("bytes in memory can be read"),
        Kind::Body | Kind::Native => {
            let mut decoded = Decoded {
                offset: 0,
                length: input.len() as u64,
                missing: 0,
                type_id: None,
                message: None,
                envelope: None,
                content: None,
                problem: None,
            };
            match kind {
                Kind::Body => decoded.read_request(input, 0, &story.style().limits),
                _ => decoded.content = Content::of_codec(input, &story.style().limits),
            }
            without_frame(&decoded, &mut story, out);
        }
    }
    story
}

/// Tells what bytes mean that are still to be read, such as a file's. Frames and recordings, which may be long, are told
/// piece by piece; everything else is told when all of it is there.
///
/// # Errors
///
/// What the reader returns, and [`NoDigit`] as an error of the kind [`InvalidData`](io::ErrorKind::InvalidData).
pub fn decode_from(mut input: impl Read, style: Style, out: &mut dyn FnMut(Told)) -> io::Result<Story> {
    let mut begin = Vec::new();
    input.by_ref().take(BEGIN).read_to_end(&mut begin)?;
    let is_recording = recording::is_recording(&begin);
    // Only frames begin like this, as `Kind::of` has it.
    let is_frames = begin.starts_with(&[0; 4]);
    if !is_recording && !is_frames {
        input.read_to_end(&mut begin)?;
        let length = begin.len();
        let bytes = unhex(begin.into()).map_err(|at| NoDigit { at, length })?;
        return Ok(decode(&bytes, style, out));
    }
    let mut story = Story::new(Style {
        connections: is_recording,
        ..style
    });
    let mut input = BufReader::with_capacity(1 << 16, Cursor::new(begin).chain(input));
    if is_frames {
        frames(input, &mut story, out)?;
        return Ok(story);
    }
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        event(number, &line, &mut story, out);
    }
    Ok(story)
}

/// What begins like hexadecimal digits and does not go on like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at {at}: {}", if at == length { "half a byte is left at the end" } else { "no hexadecimal digit, though it begins with some" })]
pub struct NoDigit {
    /// Where the first byte stands that is no digit.
    pub at: usize,
    /// How many bytes there are.
    pub length: usize,
}

impl From<NoDigit> for io::Error {
    fn from(error: NoDigit) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// As much as it takes to see what an input is.
const BEGIN: u64 = 1 << 16;

fn event(number: usize, line: &[u8], story: &mut Story, out: &mut dyn FnMut(Told)) {
    match recording::read(number, line) {
        Some(Ok(event)) => story.tell(&event).into_iter().for_each(out),
        Some(Err(error)) => {
            let text = format!("line {number} of the recording makes no sense: {error}");
            out(story.problem(number as u64, &text));
        }
        None => {}
    }
}

fn frames(mut input: impl BufRead, story: &mut Story, out: &mut dyn FnMut(Told)) -> io::Result<()> {
    // One direction is all there is. Which one cannot be told, and does not matter.
    let direction = Direction::ToServer;
    let mut cutter = Cutter::new(direction, usize::MAX);
    let mut watch = Watch::alone();
    let mut tell = |piece: Piece| {
        let event = Event {
            connection: 1,
            at: std::time::Duration::ZERO,
            what: What::of(direction, piece),
        };
        story.tell(&event).into_iter().for_each(&mut *out);
    };
    loop {
        let piece = input.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        cutter.feed(piece, &mut watch, &mut tell);
        input.consume(length);
    }
    cutter.finish(&watch, &mut tell);
    Ok(())
}

fn java(input: &Bytes, story: &mut Story, out: &mut dyn FnMut(Told)) {
    let java = Java::read(input, &story.style().limits, false);
    let bounds = story.style().bounds;
    let error = java.error.as_ref().map(|error| (error.at(), error.to_string()));
    let told = if story.style().json {
        let mut json = Fields::new();
        json.put("content", java.to_json(&bounds));
        if let Some((at, text)) = &error {
            json.put("problem", serde_json::json!({ "at": at, "text": text }));
        }
        Told {
            head: json.to_line(),
            is_problem: error.is_some(),
            details: String::new(),
        }
    } else {
        let mut details = String::new();
        java.describe(&bounds, &mut details);
        Told {
            head: format!("Java object stream, {} bytes", input.len()),
            is_problem: false,
            details,
        }
    };
    out(told);
    if let Some((at, text)) = error {
        let told = story.problem(at as u64, &format!("here the stream stops making sense: {text}"));
        if !story.style().json {
            out(told);
        }
    }
}

fn without_frame(decoded: &Decoded, story: &mut Story, out: &mut dyn FnMut(Told)) {
    let bounds = story.style().bounds;
    let problem = decoded.problem.clone();
    let mut told = Told {
        head: String::new(),
        is_problem: problem.is_some(),
        details: String::new(),
    };
    if story.style().json {
        let mut json = Fields::new();
        decoded.to_json(&bounds, &mut json);
        told.head = json.to_line();
    } else {
        let what = match decoded.envelope {
            Some(_) => "body of a message without its frame",
            None => "content without envelope and frame",
        };
        told.head = format!("{what}, {} bytes", decoded.length);
        decoded.details(&bounds, &mut told.details);
    }
    out(told);
    if let Some(problem) = problem {
        // Told with the rest; this only counts it.
        story.problem(problem.at, &problem.text);
    }
}
