//! httpd: a `wasi:http/incoming-handler` component, a path for each thing that a server may do.

use wstd::http::{Body, Client, Error, Request, Response, StatusCode};
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
        _ => {
            let body = Body::from("not found\n".to_owned());
            Ok(Response::builder().status(StatusCode::NOT_FOUND).body(body)?)
        }
    }
}

/// Requests that this instance has counted: more than one where instances are reused.
fn count() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed) + 1
}
