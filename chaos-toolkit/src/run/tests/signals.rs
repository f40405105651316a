//! What each signal interrupts, and what follows.

use serde_json::{Value, json};

use super::fake::{Stage, action, experiment, fault, hypothesis, runs};
use crate::run::{Options, RollbackStrategy, Signal, Strategy};

const ALL: [Signal; 4] = [
    Signal::Interrupt,
    Signal::Terminate,
    Signal::User1,
    Signal::User2,
];

fn always() -> Options {
    Options {
        rollbacks: RollbackStrategy::Always,
        ..Options::default()
    }
}

#[tokio::test(start_paused = true)]
async fn each_cuts_the_foreground_short_and_only_usr2_leaves_rollbacks_out() {
    for signal in ALL {
        let method = json!([action("a", json!({"takes": 10})), action("b", json!({}))]);
        let of = experiment(
            hypothesis(json!({"gives": true})),
            method,
            json!([action("r", json!({}))]),
        );
        let stage = Stage::with(of, always()).signal_after(3.0, signal);
        let log = stage.log.clone();
        let began = tokio::time::Instant::now();
        let journal = stage.run().await;
        assert_eq!(began.elapsed().as_secs(), 3, "{signal:?}");
        assert!(log.has("a cut"));
        assert_eq!(journal["status"], "interrupted");
        assert_eq!(runs(&journal, "run"), ["a -"]);
        let cut = journal["run"][0].as_object().unwrap();
        assert!(cut.contains_key("end") && cut.contains_key("duration"));
        assert_eq!(journal["steady_states"]["after"], Value::Null);
        let is_played = !runs(&journal, "rollbacks").is_empty();
        assert_eq!(is_played, signal != Signal::User2, "{signal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_nothing_is_rolled_back_that_was_interrupted() {
    for signal in ALL {
        let method = json!([action("a", json!({"takes": 10}))]);
        let of = experiment(Value::Null, method, json!([action("r", json!({}))]));
        let journal = Stage::new(of).signal_after(3.0, signal).run().await;
        assert_eq!(runs(&journal, "rollbacks"), [""; 0], "{signal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_background_is_waited_for_unless_it_was_usr2() {
    for signal in ALL {
        let mut slow = action("slow", json!({"takes": 20}));
        slow["background"] = true.into();
        let method = json!([slow, action("a", json!({"takes": 10}))]);
        let of = experiment(Value::Null, method, json!([]));
        let stage = Stage::new(of).signal_after(3.0, signal);
        let log = stage.log.clone();
        let journal = stage.run().await;
        let is_cut = signal == Signal::User2;
        let of_background = if is_cut { "slow -" } else { "slow succeeded" };
        let expected = [of_background, "a -"];
        assert_eq!(runs(&journal, "run"), expected, "{signal:?}");
        assert_eq!(log.has("slow cut"), is_cut, "{signal:?}");
        // As in the reference, it has no end.
        assert_eq!(journal["run"][0].get("end").is_none(), is_cut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hypothesis_that_is_cut_short_is_not_in_the_journal() {
    let of = experiment(
        hypothesis(json!({"takes": 10, "gives": true})),
        json!([]),
        json!([]),
    );
    let journal = Stage::new(of)
        .signal_after(3.0, Signal::Terminate)
        .run()
        .await;
    assert_eq!(journal["status"], "interrupted");
    assert_eq!(journal["steady_states"]["before"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_has_begun_is_done_when_the_method_is_cut_short() {
    let method = json!([action("a", json!({"takes": 100}))]);
    let of = experiment(
        hypothesis(json!({"takes": 10, "gives": true})),
        method,
        json!([]),
    );
    let options = Options {
        hypothesis: Strategy::DuringMethod,
        ..Options::default()
    };
    let stage = Stage::with(of, options).signal_after(3.0, Signal::Interrupt);
    let began = tokio::time::Instant::now();
    let journal = stage.run().await;
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(
        journal["steady_states"]["during"].as_array().unwrap().len(),
        1
    );
    assert_eq!(journal["status"], "interrupted");
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_rollbacks_that_are_played() {
    let rollbacks = json!([action("r", json!({"takes": 10})), action("s", json!({}))]);
    let of = experiment(Value::Null, json!([]), rollbacks);
    let journal = Stage::new(of)
        .signal_after(3.0, Signal::Terminate)
        .run()
        .await;
    assert_eq!(journal["status"], "interrupted");
    assert_eq!(runs(&journal, "rollbacks"), ["r -"]);
}

#[tokio::test(start_paused = true)]
async fn pauses_are_cut_short() {
    let mut a = action("a", json!({}));
    a["pauses"] = json!({"after": 100});
    let of = experiment(Value::Null, json!([a, action("b", json!({}))]), json!([]));
    let stage = Stage::new(of).signal_after(3.0, Signal::Interrupt);
    let began = tokio::time::Instant::now();
    let journal = stage.run().await;
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(runs(&journal, "run"), ["a succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn usr2_undoes_nothing_but_faults() {
    let mut a = action("a", json!({"takes": 10}));
    a["undo"] = json!({"provider": {"type": "process"}});
    let of = experiment(Value::Null, json!([fault("f", 1000.0), a]), json!([]));
    let stage = Stage::with(of, always()).signal_after(3.0, Signal::User2);
    let log = stage.log.clone();
    let journal = stage.run().await;
    assert_eq!(runs(&journal, "rollbacks"), [""; 0]);
    assert!(log.has("f ended: stopped"));
    assert_eq!(journal["run"][0]["chaos"]["why"], "stopped");
}

#[tokio::test(start_paused = true)]
async fn a_second_ctrl_c_waits_for_nothing_but_that_faults_are_told() {
    let mut slow = action("slow", json!({"takes": 1000}));
    slow["background"] = true.into();
    let method = json!([fault("f", 1000.0), slow, action("a", json!({"takes": 10}))]);
    let of = experiment(Value::Null, method, json!([action("r", json!({}))]));
    let stage = Stage::with(of, always())
        .signal_after(3.0, Signal::Interrupt)
        .signal_after(4.0, Signal::Interrupt);
    let log = stage.log.clone();
    let began = tokio::time::Instant::now();
    let journal = stage.run().await;
    assert_eq!(began.elapsed().as_secs(), 4);
    assert_eq!(journal["status"], "interrupted");
    assert_eq!(runs(&journal, "rollbacks"), [""; 0]);
    assert!(log.has("f told to stop"));
    assert!(!log.has("r begins"));
}

/// A shell that goes sends SIGHUP to what it started, and the kernel does when the terminal goes with it.
#[tokio::test(start_paused = true)]
async fn that_the_terminal_is_gone_is_heard_once() {
    for first in [Signal::HangUp, Signal::Terminate] {
        let mut act = action("a", json!({}));
        act["undo"] = json!({"provider": {"type": "process", "path": "x", "takes": 5}});
        let method = json!([act, action("b", json!({"takes": 10}))]);
        let stage = Stage::with(
            experiment(Value::Null, method, json!([action("r", json!({}))])),
            always(),
        );
        let stage = stage
            .signal_after(3.0, first)
            .signal_after(4.0, Signal::HangUp);
        let journal = stage.run().await;
        let expected = ["undo: a succeeded", "r succeeded"];
        assert_eq!(runs(&journal, "rollbacks"), expected, "{first:?}");
    }
}
