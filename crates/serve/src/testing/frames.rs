//! HTTP/2 by hand (RFC 9113), for what no library lets its users send, or sends as cheaply.

/// What every connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes before each frame's payload.
pub const HEAD: usize = 9;

/// Kinds of frames: of a body.
pub const DATA: u8 = 0;
/// Of headers.
pub const HEADERS: u8 = 1;
/// That ends a stream at once.
pub const RST_STREAM: u8 = 3;
/// Of settings.
pub const SETTINGS: u8 = 4;
/// That asks whether somebody is there.
pub const PING: u8 = 6;
/// That lets the other side send more.
pub const WINDOW_UPDATE: u8 = 8;
/// Of more headers.
pub const CONTINUATION: u8 = 9;

/// Flags: nothing more comes on this stream; of PING and SETTINGS, that they are answers.
pub const END_STREAM: u8 = 1;
/// All headers have come.
pub const END_HEADERS: u8 = 4;

/// The setting of the window that streams begin with.
const INITIAL_WINDOW_SIZE: u8 = 4;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// The SETTINGS with this window for each stream.
pub fn settings(window: u32) -> Vec<u8> {
    let payload = [&[0, INITIAL_WINDOW_SIZE], &window.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, &payload)
}

/// The headers of a call (RFC 7541): numbers of the static table, and texts as they are. The path is
/// shorter than 127 bytes.
pub fn call(path: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("short");
        assert!(length < 127, "fits into one byte");
        [&[length], text.as_bytes()].concat()
    };
    [
        // :method POST, :scheme http
        &[0x83, 0x86][..],
        // :path and :authority
        &[0x04],
        &text(path),
        &[0x01],
        &text("test"),
        // content-type, which is number 31
        &[0x0f, 0x10],
        &text("application/grpc"),
        &[0x00],
        &text("te"),
        &text("trailers"),
    ]
    .concat()
}

/// A message with the five bytes that gRPC puts before it.
pub fn message(encoded: &[u8]) -> Vec<u8> {
    let length = u32::try_from(encoded.len()).expect("short").to_be_bytes();
    [&[0], &length[..], encoded].concat()
}
