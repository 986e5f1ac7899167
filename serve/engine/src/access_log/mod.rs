//! The access log: one line of JSON on stderr for each request that was answered, or given up.
//!
//! The line is made in the thread that has answered; a thread of its own writes it, so that no request waits for stderr.

mod notes;

use std::io::{Result, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::background::{Background, Work};
use crate::json::write_string;
pub use notes::Notes;

/// Lines that may wait to be written, and their bytes. Far more than fits means that nobody reads stderr.
const QUEUE_LINES: usize = 16 << 10;
const QUEUE_BYTES: usize = 8 << 20;

/// How long the end of the server waits for whoever reads stderr.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a pipe takes in one piece. The control plane writes lines of its own to stderr, and none may land within another.
const PIECE_BYTES: usize = 4096;

/// A client chooses names and paths; beyond this they are cut.
const TEXT_BYTES: usize = 200;

/// The way to the thread; cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    lines: Arc<Background<Vec<u8>>>,
}

/// Which request a line is about.
pub struct Subject {
    pub protocol: &'static str,
    /// The full method of gRPC, or HTTP's verb.
    pub method: String,
    /// Of HTTP, with its query.
    pub path: Option<String>,
    pub peer: Option<SocketAddr>,
}

impl AccessLog {
    pub fn start() -> Result<AccessLog> {
        let writer = Writer { held_back: Vec::with_capacity(PIECE_BYTES), out: std::io::stderr() };
        Ok(AccessLog { lines: Arc::new(Background::start("tfs-access-log", QUEUE_LINES, QUEUE_BYTES, writer)?) })
    }

    /// Begin the line of a request; in a box, or every request would carry the room for it.
    pub fn begin(&self, subject: Subject) -> Box<Line> {
        Box::new(Line { log: self.clone(), notes: Notes::new(), subject, start: Instant::now(), is_ended: false })
    }

    /// Wait until all lines are written, unless nobody reads them.
    pub fn flush(&self) {
        self.lines.flush(PATIENCE);
    }
}

/// The line of a request under way. If it is dropped before `end` the client has gone away.
pub struct Line {
    log: AccessLog,
    notes: Notes,
    subject: Subject,
    start: Instant,
    is_ended: bool,
}

impl Line {
    /// Where those who answer note what they find out.
    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Write the line with the canonical name of the outcome, and HTTP's number for it.
    pub fn end(mut self, status: &str, http_status: Option<u16>) {
        self.is_ended = true;
        self.write(status, http_status);
    }

    fn write(&self, status: &str, http_status: Option<u16>) {
        let mut line = head("INFO", "request");
        let Subject { protocol, method, path, peer } = &self.subject;
        text(&mut line, "protocol", protocol);
        text(&mut line, "method", method);
        path.iter().for_each(|path| text(&mut line, "path", path));
        self.notes.write(&mut line);
        text(&mut line, "status", status);
        http_status.iter().for_each(|status| number(&mut line, "http_status", i64::from(*status)));
        number(&mut line, "duration_us", self.start.elapsed().as_micros() as i64);
        peer.iter().for_each(|peer| text(&mut line, "peer", &peer.to_string()));
        line.extend_from_slice(b"}\n");
        let bytes = line.len();
        self.log.lines.offer(line, bytes);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_ended {
            self.write("CANCELLED", None);
        }
    }
}

/// The beginning of a line, as the control plane's have it.
fn head(level: &str, message: &str) -> Vec<u8> {
    let mut line = Vec::with_capacity(512);
    line.extend_from_slice(b"{\"time\": \"");
    // Writing to memory does not fail.
    let _ = write!(line, "{}", humantime::format_rfc3339_millis(SystemTime::now()));
    line.push(b'"');
    text(&mut line, "level", level);
    text(&mut line, "message", message);
    line
}

fn text(line: &mut Vec<u8>, key: &str, value: &str) {
    let mut end = value.len().min(TEXT_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let _ = write!(line, ", \"{key}\": ");
    write_string(line, &value.as_bytes()[..end]);
}

fn number(line: &mut Vec<u8>, key: &str, value: i64) {
    let _ = write!(line, ", \"{key}\": {value}");
}

/// Collects lines, and writes as many at once as a pipe takes in one piece.
struct Writer<W> {
    held_back: Vec<u8>,
    out: W,
}

impl<W: Write + Send + 'static> Work for Writer<W> {
    type Item = Vec<u8>;

    fn take(&mut self, line: Vec<u8>) {
        if self.held_back.len() + line.len() > PIECE_BYTES {
            self.rest();
        }
        self.held_back.extend_from_slice(&line);
    }

    fn rest(&mut self) {
        // There is nowhere left to complain.
        let _ = self.out.write_all(&self.held_back);
        self.held_back.clear();
    }

    fn refused(&mut self, count: u64) {
        let mut line = head("WARNING", &format!("{count} access lines were dropped: stderr is not read fast enough"));
        number(&mut line, "dropped", i64::try_from(count).unwrap_or(i64::MAX));
        line.extend_from_slice(b"}\n");
        self.take(line);
        self.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes each write.
    struct Pieces(Arc<std::sync::Mutex<Vec<Vec<u8>>>>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().expect("no panic").push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_pieces_that_a_pipe_takes_at_once() {
        let pieces = Arc::<std::sync::Mutex<Vec<Vec<u8>>>>::default();
        let mut writer = Writer { held_back: Vec::new(), out: Pieces(Arc::clone(&pieces)) };
        for length in [1000, 3000, 200, 4000, 96, 1] {
            let mut line = vec![b'x'; length - 1];
            line.push(b'\n');
            writer.take(line);
        }
        writer.refused(3);
        let pieces = pieces.lock().expect("no panic");
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES && piece.ends_with(b"\n")));
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>()[..3], [4000, 200, 4096]);
        let last = String::from_utf8(pieces.concat()).expect("text");
        assert!(last.ends_with(
            "\"message\": \"3 access lines were dropped: stderr is not read fast enough\", \"dropped\": 3}\n"
        ));
    }

    #[test]
    fn the_longest_line_fits_into_one_piece() {
        let mut line = head("INFO", "request");
        let worst = "\u{1}".repeat(1000);
        for key in ["model", "signature"] {
            text(&mut line, key, &worst);
        }
        let path = "\"".repeat(1000);
        for key in ["method", "path"] {
            text(&mut line, key, &path);
        }
        assert!(line.len() + 300 < PIECE_BYTES, "{}", line.len());
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let mut line = Vec::new();
        text(&mut line, "k", &"é".repeat(TEXT_BYTES));
        assert_eq!(String::from_utf8(line).expect("text"), format!(", \"k\": \"{}\"", "é".repeat(TEXT_BYTES / 2)));
    }
}
