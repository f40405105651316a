//! An open-loop HTTP load: requests start at fixed times, however slow the answers are, and latency counts from the time
//! at which a request was to start. So a stalled service shows in the figures instead of pausing the clock.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::http::Uri;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{task::JoinSet, time::Instant};

/// What to ask for, how often, and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// Requests a second.
    pub rate: u32,
    /// How long requests are started.
    pub duration: Duration,
    /// Such as `http://10.77.0.2:3000/consuming`.
    pub url: String,
    /// When an answer counts as an error.
    pub timeout: Duration,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was to start, since the start of the load.
    pub at: Duration,
    /// From then to the end of the answer, or to the failure.
    pub latency: Duration,
    /// Whether it was answered with 200 in time.
    pub ok: bool,
}

/// All requests of a load.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// In the order of their end.
    pub samples: Vec<Sample>,
}

/// The figures of some requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many were started.
    pub requests: usize,
    /// How many of them failed: refused, not 200, or not in time.
    pub errors: usize,
    /// Half of those that were answered took no longer.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

impl Load {
    /// Loads the service from the namespace of this thread ([`crate::lab::Host::run`]), until the time is over.
    pub fn run(&self) -> Result<LoadReport> {
        self.run_until(&AtomicBool::new(false), |_| ())
    }

    /// The same; ends early when `stop` is set, and shows each request to `watch` as it ends.
    pub fn run_until(
        &self,
        stop: &AtomicBool,
        watch: impl Fn(&Sample) + Send + Sync,
    ) -> Result<LoadReport> {
        let uri: Uri = self
            .url
            .parse()
            .with_context(|| format!("URL {}", self.url))?;
        // Its threads, for names, are started from this one and so are in the same namespace.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start tokio")?;
        let samples = Arc::new(Mutex::new(Vec::new()));
        let lock = || samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = 0;
        let mut show_new = || {
            let samples = lock();
            samples[shown..].iter().for_each(&watch);
            shown = samples.len();
        };
        runtime.block_on(async {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let client: Client<_, Empty<&'static [u8]>> =
                Client::builder(TokioExecutor::new()).build(connector);
            let interval = Duration::from_secs(1) / self.rate.max(1);
            let start = Instant::now();
            let mut under_way = JoinSet::new();
            for number in 0.. {
                let at = interval * number;
                if at >= self.duration || stop.load(Ordering::Relaxed) {
                    break;
                }
                tokio::time::sleep_until(start + at).await;
                show_new();
                let request = client.get(uri.clone());
                let (timeout, samples) = (self.timeout, Arc::clone(&samples));
                under_way.spawn(async move {
                    let answer = async {
                        let response = request.await.ok()?;
                        let status = response.status();
                        response.into_body().collect().await.ok()?;
                        Some(status)
                    };
                    let status = tokio::time::timeout_at(start + at + timeout, answer).await;
                    let ok = status.is_ok_and(|status| status.is_some_and(|status| status == 200));
                    let sample = Sample {
                        at,
                        latency: (start + at).elapsed(),
                        ok,
                    };
                    samples
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(sample);
                });
            }
            while under_way.join_next().await.is_some() {}
            show_new();
        });
        Ok(LoadReport {
            samples: std::mem::take(&mut *lock()),
        })
    }
}

impl LoadReport {
    /// Figures of all requests.
    pub fn summary(&self) -> Result<Summary> {
        self.between(Duration::ZERO, Duration::MAX)
    }

    /// Figures of the requests that were to start from `from` until before `to`.
    pub fn between(&self, from: Duration, to: Duration) -> Result<Summary> {
        let mut histogram = Histogram::<u64>::new(3).context("make a histogram")?;
        let (mut requests, mut errors) = (0, 0);
        for sample in self
            .samples
            .iter()
            .filter(|sample| (from..to).contains(&sample.at))
        {
            requests += 1;
            if sample.ok {
                let microseconds = u64::try_from(sample.latency.as_micros()).unwrap_or(u64::MAX);
                histogram
                    .record(microseconds.max(1))
                    .context("record a latency")?;
            } else {
                errors += 1;
            }
        }
        let quantile = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Ok(Summary {
            requests,
            errors,
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
        })
    }
}
