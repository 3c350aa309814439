//! p3httpd: a `wasi:http/service@0.3` component that greets.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Server);

struct Server;

impl wasip3::exports::http::handler::Guest for Server {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        if request.get_path_with_query().as_deref() == Some("/panic") {
            panic!("as asked");
        }
        let (mut body, reader) = wit_stream::new();
        let (_trailers, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(Fields::new(), Some(reader), trailers);
        wit_bindgen::spawn_local(async move {
            let _ = body.write_all(b"hello from WASI 0.3\n".to_vec()).await;
        });
        Ok(response)
    }
}
