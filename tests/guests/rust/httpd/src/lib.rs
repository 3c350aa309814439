//! httpd: a `wasi:http/incoming-handler` component, a path for each thing that a server may do.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wstd::http::body::{Bytes, Frame, HttpBody};
use wstd::http::{Body, Client, Error, HeaderMap, HeaderValue, Request, Response, StatusCode};
use wstd::time::Duration;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let uri = request.uri().clone();
    let parameter = |name: &str| {
        let mut pairs = uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(n, _)| *n == name).map_or("", |(_, value)| value).to_owned()
    };
    let text = |text: String| Ok(Response::new(Body::from(text)));
    match uri.path() {
        "/" => text("hello\n".into()),
        "/env" => text(std::env::vars().map(|(k, v)| format!("{k}={v}\n")).collect()),
        "/headers" => {
            text(request.headers().iter().map(|(k, v)| format!("{k}: {v:?}\n")).collect())
        }
        "/count" => text(format!("{}\n", count())),
        "/echo" => Ok(Response::new(request.into_body())),
        "/sleep" => {
            let milliseconds = parameter("ms").parse().unwrap_or(1000);
            wstd::task::sleep(Duration::from_millis(milliseconds)).await;
            text("slept\n".into())
        }
        "/spin" => loop {
            std::hint::black_box(0);
        },
        "/fetch" => {
            let request = Request::get(parameter("url").as_str()).body(Body::empty())?;
            let (parts, mut body) = Client::new().send(request).await?.into_parts();
            text(format!("{}\n{}", parts.status, body.str_contents().await?))
        }
        "/file" => match std::fs::read_to_string(parameter("path")) {
            Ok(content) => text(content),
            Err(error) => text(format!("error: {error}\n")),
        },
        "/log" => {
            println!("to stdout");
            eprintln!("to stderr");
            text("logged\n".into())
        }
        "/panic" => panic!("as asked"),
        "/cut" => parts([Part::Data, Part::Pause(Box::pin(pause())), Part::Panic]),
        "/cut-at-once" => parts([Part::Data, Part::Panic]),
        "/trailers" => parts([Part::Data, Part::Trailers]),
        _ => {
            let body = Body::from("not found\n".to_owned());
            Ok(Response::builder().status(StatusCode::NOT_FOUND).body(body)?)
        }
    }
}

async fn pause() {
    wstd::task::sleep(Duration::from_millis(20)).await;
}

fn parts<const N: usize>(parts: [Part; N]) -> Result<Response<Body>, Error> {
    Ok(Response::new(Body::from_http_body(Parts(parts.into()))))
}

/// A body in parts.
struct Parts(VecDeque<Part>);

enum Part {
    Data,
    Trailers,
    Pause(Pin<Box<dyn Future<Output = ()> + Send>>),
    Panic,
}

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while let Some(Part::Pause(pause)) = self.0.front_mut() {
            ready!(pause.as_mut().poll(cx));
            self.0.pop_front();
        }
        Poll::Ready(self.0.pop_front().map(|part| {
            Ok(match part {
                Part::Data => Frame::data(Bytes::from_static(b"part\n")),
                Part::Trailers => {
                    let mut trailers = HeaderMap::new();
                    trailers.insert("x-sum", HeaderValue::from_static("5"));
                    Frame::trailers(trailers)
                }
                Part::Pause(_) | Part::Panic => panic!("as asked"),
            })
        }))
    }
}

/// Requests that this instance has counted: more than one where instances are reused.
fn count() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed) + 1
}
