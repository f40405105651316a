//! An HTTP server on loopback that keeps what is posted to it.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The server; it ends when dropped.
pub(crate) struct Receiver {
    address: String,
    posted: Arc<Mutex<Vec<Posted>>>,
    _runtime: Runtime,
}

impl Receiver {
    /// Answers everything with this status.
    pub(crate) fn start(status: StatusCode) -> Self {
        let runtime = serving();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                let answer = service_fn(move |request| answer(request, Arc::clone(&kept), status));
                // A client that goes away is no matter.
                tokio::spawn(
                    http1::Builder::new().serve_connection(TokioIo::new(connection), answer),
                );
            }
        });
        Self {
            address,
            posted,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was posted so far, in order.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Posted>>>,
    status: StatusCode,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    assert_eq!(request.method(), "POST");
    let content_type = request.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap();
    kept.lock().unwrap().push(Posted {
        path,
        content_type,
        body: body.to_bytes().to_vec(),
    });
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// Something to serve on, beside the test.
pub(crate) fn serving() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// The address of nobody: a port that was free a moment ago.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
