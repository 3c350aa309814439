//! odd: a `wasi:http/incoming-handler` component that does what servers should not do, or do seldom.

use std::sync::atomic::{AtomicU32, Ordering};
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

wasip2::http::proxy::export!(Odd);

struct Odd;

/// Requests that this instance has met.
static MET: AtomicU32 = AtomicU32::new(0);

impl wasip2::exports::http::incoming_handler::Guest for Odd {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let met = MET.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.path_with_query().unwrap_or_default();
        let (path, number) = path.split_once('?').unwrap_or((&path, ""));
        let number: usize = number.parse().unwrap_or(1);
        match path {
            "/count" => text(answer, &format!("{met}\n")),
            // like a JavaScript engine that takes one event
            "/silent-after" if met as usize > number => drop(answer),
            "/trap-after" if met as usize > number => panic!("used up"),
            "/silent-after" | "/trap-after" => {
                let length = read(request).len();
                text(answer, &format!("{met} {length}\n"));
            }
            "/silent" => drop(answer),
            "/silent-then-trap" => {
                drop(answer);
                monotonic_clock::subscribe_duration(1_000_000).block();
                panic!("afterwards");
            }
            "/leak" => {
                (0..number).for_each(|_| std::mem::forget(Fields::new()));
                text(answer, &format!("{met}\n"));
            }
            "/grow" => {
                std::mem::forget(vec![1_u8; number << 20]);
                text(answer, &format!("{met}\n"));
            }
            "/hold" => {
                let memory = vec![1_u8; number << 20];
                monotonic_clock::subscribe_duration(300_000_000).block();
                text(answer, &format!("{}\n", std::hint::black_box(&memory).len()));
            }
            "/unfinished" => std::mem::forget(Answer::begin(answer, None, b"part\n")),
            "/short" => Answer::begin(answer, Some(10), b"part\n").finish(),
            "/ignore" => {
                std::mem::forget(request);
                text(answer, &format!("{met}\n"));
            }
            "/early" => {
                let answer = Answer::begin(answer, None, b"early\n");
                answer.write(&read(request));
                answer.finish();
            }
            "/echo" => {
                let answer = Answer::begin(answer, None, b"");
                each(request, |part| answer.write(part));
                answer.finish();
            }
            "/much" => {
                let answer = Answer::begin(answer, None, b"");
                let part = vec![b'x'; 64 << 10];
                (0..number << 4).take_while(|_| answer.write(&part)).for_each(drop);
                answer.finish();
            }
            _ => text(answer, "odd\n"),
        }
    }
}

fn text(answer: ResponseOutparam, text: &str) {
    Answer::begin(answer, None, text.as_bytes()).finish();
}

/// An answer under way.
struct Answer {
    body: OutgoingBody,
    stream: OutputStream,
}

impl Answer {
    fn begin(answer: ResponseOutparam, length: Option<usize>, part: &[u8]) -> Self {
        let fields = Fields::new();
        if let Some(length) = length {
            let _ = fields.append("content-length", length.to_string().as_bytes());
        }
        let response = OutgoingResponse::new(fields);
        let body = response.body().expect("it is taken once");
        ResponseOutparam::set(answer, Ok(response));
        let stream = body.write().expect("it is taken once");
        let begun = Self { body, stream };
        begun.write(part);
        begun
    }

    /// Whether there is still somebody to write for.
    fn write(&self, bytes: &[u8]) -> bool {
        bytes.chunks(4096).all(|part| self.stream.blocking_write_and_flush(part).is_ok())
    }

    fn finish(self) {
        drop(self.stream);
        let _ = OutgoingBody::finish(self.body, None);
    }
}

fn read(request: IncomingRequest) -> Vec<u8> {
    let mut all = Vec::new();
    each(request, |part| {
        all.extend(part);
        true
    });
    all
}

fn each(request: IncomingRequest, mut part: impl FnMut(&[u8]) -> bool) {
    let body = request.consume().expect("it is taken once");
    let stream: InputStream = body.stream().expect("it is taken once");
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(bytes) if part(&bytes) => {}
            Ok(_) | Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => break,
        }
    }
}
