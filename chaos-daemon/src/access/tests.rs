//! Who may, with an API server that answers at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::*;

/// An API server that knows tokens `good-NAME`, and lets everybody but `eve` do everything in namespace `demo`.
#[derive(Clone, Default)]
struct Standing {
    questions: Arc<AtomicUsize>,
    is_gone: Arc<AtomicBool>,
}

impl Standing {
    fn answer<T>(&self, answer: T) -> Result<T, ClusterError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(ClusterError::Silent { what: "who it is" });
        }
        Ok(answer)
    }

    fn asked(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

impl Reviews for Standing {
    fn know<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Result<User, String>, ClusterError>> {
        let user = token.split('-').nth(1).map(|name| User {
            name: name.to_owned(),
            ..User::default()
        });
        let known = user.ok_or_else(|| "invalid bearer token".to_owned());
        Box::pin(std::future::ready(self.answer(known)))
    }

    fn allow<'a>(
        &'a self,
        user: &'a User,
        _: Verb,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Result<(), String>, ClusterError>> {
        let may = user.name != "eve" && namespace == "demo";
        let answer = if may { Ok(()) } else { Err(String::new()) };
        Box::pin(std::future::ready(self.answer(answer)))
    }
}

fn access(server: &Standing) -> Access {
    Access::new(Some(Box::new(server.clone())), "chaos-daemon".to_owned())
}

fn token(text: &str) -> Caller {
    Caller::Token(text.to_owned())
}

fn demo() -> Vec<String> {
    vec!["demo".to_owned()]
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_for_ten_seconds_and_a_no_for_none() {
    let server = Standing::default();
    let access = access(&server);
    let ask = async |text: &str| {
        let asker = access.identify(&token(text)).await?;
        access.may(&asker, Verb::Create, &demo()).await
    };
    ask("good-ann").await.unwrap();
    assert_eq!(server.asked(), 2, "who, and whether they may");
    tokio::time::advance(Duration::from_millis(9_999)).await;
    ask("good-ann").await.unwrap();
    assert_eq!(server.asked(), 2);
    ask("good-ann-2").await.unwrap();
    assert_eq!(server.asked(), 4, "another token is another question");
    tokio::time::advance(Duration::from_millis(1)).await;
    ask("good-ann").await.unwrap();
    assert_eq!(server.asked(), 6);
    ask("good-eve").await.unwrap_err();
    ask("good-eve").await.unwrap_err();
    assert_eq!(server.asked(), 9, "that she may not is asked each time");
    ask("bad").await.unwrap_err();
    ask("bad").await.unwrap_err();
    assert_eq!(server.asked(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_yes_is_for_its_verb_and_namespace() {
    let server = Standing::default();
    let access = access(&server);
    let asker = access.identify(&token("good-ann")).await.unwrap();
    access.may(&asker, Verb::Create, &demo()).await.unwrap();
    access.may(&asker, Verb::Delete, &demo()).await.unwrap();
    assert_eq!(server.asked(), 3);
    let both = ["demo".to_owned(), "other".to_owned()];
    let error = access.may(&asker, Verb::Create, &both).await.unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.starts_with("ann may not create faults.chaos.dev in namespace other"),
        "{sentence}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_api_server_only_who_started_it_goes_on() {
    let server = Standing::default();
    let access = access(&server);
    let ann = access.identify(&token("good-ann")).await.unwrap();
    access.started(&ann, "delay-1");
    let bob = access.identify(&token("good-bob")).await.unwrap();
    access.started(&bob, "loss-2");
    tokio::time::advance(KEPT).await;
    server.is_gone.store(true, Ordering::Relaxed);
    let gone = access.identify(&token("good-ann")).await.unwrap_err();
    assert_eq!(gone.reason(), "api_server");
    let owner = access.identify_about(&token("good-ann"), "delay-1").await;
    let owner = owner.unwrap();
    assert_eq!((owner.how, owner.name()), (How::Owner, "ann"));
    assert!(access.owns(&owner, "delay-1") && !access.owns(&owner, "loss-2"));
    for (text, id) in [("good-ann", "loss-2"), ("good-eve", "delay-1")] {
        let other = access.identify_about(&token(text), id).await;
        assert!(other.is_err(), "{text} {id}");
    }
    let any = access.identify_or_owner(&token("good-bob")).await.unwrap();
    assert_eq!(any.name(), "bob");
    access.forget_but(|id| id == "loss-2");
    assert!(access.identify_or_owner(&token("good-ann")).await.is_err());
}

#[tokio::test]
async fn an_owner_is_known_by_name_too_and_nobody_else_becomes_one() {
    let server = Standing::default();
    let access = access(&server);
    let ann = access.identify(&token("good-ann")).await.unwrap();
    access.started(&ann, "delay-1");
    let renewed = access.identify(&token("good-ann-new")).await.unwrap();
    assert!(access.owns(&renewed, "delay-1"));
    let bob = access.identify(&token("good-bob")).await.unwrap();
    access.goes_on(&bob, "delay-1");
    assert!(!access.owns(&bob, "delay-1"));
    // Somebody started it who was not asked, at the node's own socket.
    access.goes_on(&bob, "loss-2");
    assert!(!access.owns(&bob, "loss-2"));
}

#[tokio::test]
async fn who_comes_without_a_token_is_asked_for_one_where_somebody_asks() {
    let asked = access(&Standing::default());
    let nobody = asked.identify(&Caller::Nobody).await.unwrap_err();
    assert_eq!(nobody.reason(), "no_token");
    let root = asked.identify(&Caller::Socket).await.unwrap();
    asked.may(&root, Verb::Create, &demo()).await.unwrap();
    let unasked = Access::new(None, String::new());
    let anybody = unasked.identify(&token("whatever")).await.unwrap();
    assert_eq!(anybody.how, How::Unasked);
    unasked.may(&anybody, Verb::Create, &demo()).await.unwrap();
}
