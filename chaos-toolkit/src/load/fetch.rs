//! Asks servers for experiments, as providers of `type: http` ask.

use futures::future::BoxFuture;
use http::Method;
use url::Url;

use super::{Answer, Fetch};
use crate::http::{Request, send};
use crate::tls::Trust;
use crate::variables::Environment;

/// Asks them.
#[derive(Clone, Copy, Debug)]
pub struct Http;

impl Fetch for Http {
    fn get<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        verify_tls: bool,
    ) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let url = Url::parse(url).map_err(|error| error.to_string())?;
            let mut request = Request::new(Method::GET, url);
            let own = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
            request.headers = headers.iter().map(own).collect();
            if !verify_tls {
                request.trust = Trust::Anybody;
            }
            let response = send(request, &Environment::default())
                .await
                .map_err(|error| error.to_string())?;
            Ok(Answer {
                status: response.status,
                content_type: response.header("Content-Type").map(str::to_owned),
                body: response.body,
            })
        })
    }
}
