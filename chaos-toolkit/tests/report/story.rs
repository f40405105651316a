//! What the page tells of a run: what was believed, done and seen.

use chaos_toolkit::report;
use scraper::{ElementRef, Html};
use serde_json::{Value, json};

use crate::{ALL, all, journal, of, page, said, texts, value};

#[test]
fn a_deviation_says_which_probe_saw_what() {
    let page = page("reference-deviating");
    assert_eq!(texts(&page, ".result .verdict"), ["deviated"]);
    let told = texts(&page, ".told li");
    assert_eq!(
        told[0],
        "After the method, the-file-exists saw false where true was expected."
    );
    let rows = texts(&page, ".believed tbody tr");
    assert_eq!(
        rows,
        [
            "the-file-exists os.path.exists(path=\"/srv/shop/orders.dat\") true ✓ true ✗ false",
            "never-looked-at GET http://127.0.0.1:8080/ status 200 or 201 ✓ status 200 not asked",
        ]
    );
    let headings = texts(&page, "h3");
    let wanted = [
        "What was believed",
        "Over time",
        "What was done",
        "What was undone",
        "What it contributes to",
        "What it ran with",
    ];
    assert_eq!(headings, wanted);
}

#[test]
fn each_way_to_end_has_its_word() {
    let words = ALL[..6]
        .iter()
        .map(|name| texts(&page(name), ".result .verdict").concat());
    let wanted = [
        "steady",
        "deviated",
        "not steady before",
        "completed",
        "deviated",
        "aborted",
    ];
    assert_eq!(words.collect::<Vec<_>>(), wanted);
    let mut unknown = value("reference-passing");
    unknown["status"] = json!(null);
    assert_eq!(texts(&of(&unknown), ".result .verdict"), ["unknown"]);
    unknown["status"] = json!("interrupted");
    assert_eq!(texts(&of(&unknown), ".result .verdict"), ["interrupted"]);
}

#[test]
fn activities_are_there_in_their_order_with_their_figures() {
    let page = page("reference-continuous");
    let names = texts(&page, ".did .name");
    let wanted = [
        "load-the-machine",
        "list-pods",
        "restart-cache",
        "call-catalogue",
        "list-pods",
        "restart-cache-again",
    ];
    assert_eq!(names, wanted);
    let at = texts(&page, ".did .at");
    assert_eq!(at[0], "at 115 ms, took 3 s");
    assert_eq!(at[3], "at 2.34 s, took 7.22 ms");
    // What failed is open, and its exception is folded within.
    assert_eq!(
        texts(&page, ".did li > details[open] .name"),
        ["call-catalogue"]
    );
    let open = &all(&page, ".did li > details[open]")[0];
    assert!(said(*open).contains("No such file or directory"));
    let folded = all(&page, ".did details[open] details.fold:not([open]) pre");
    assert!(said(folded[0]).starts_with("Traceback (most recent call last):"));
    // 400 lines are folded too.
    assert_eq!(
        all(
            &page,
            ".did details:not([open]) details.fold:not([open]) pre"
        )
        .len(),
        2
    );
    let seen = texts(&page, ".told li");
    assert_eq!(
        seen[1],
        "While it ran, the hypothesis was not met 2 of 10 times; first, at 3.37 s, the-shop-answers saw status 503 where status 200 was expected."
    );
}

#[test]
fn values_of_the_configuration_stand_in_place_of_their_names() {
    let page = page("reference-continuous");
    let line = texts(&page, ".believed tbody .line");
    assert_eq!(line[0], "GET http://127.0.0.1:8080/");
}

#[test]
fn every_look_of_a_probe_is_a_dot_in_the_colour_of_what_it_saw() {
    let looks = |met: bool| {
        let states = &value("ours-aborted")["steady_states"];
        let during = states["during"].as_array().unwrap().iter();
        let probes = during
            .chain([&states["before"], &states["recovery"]])
            .flat_map(|state| state["probes"].as_array().unwrap());
        probes.filter(|probe| probe["tolerance_met"] == met).count()
    };
    let page = page("ours-aborted");
    assert_eq!(all(&page, ".lanes circle.dot.ok").len(), looks(true));
    assert_eq!(all(&page, ".lanes circle.dot.no").len(), looks(false));
    assert_eq!(
        all(&page, ".lanes rect.took").len(),
        looks(true) + looks(false)
    );
    // What a range expects is behind them.
    assert!(!all(&page, ".lanes rect.band").is_empty());
}

/// The place of something across the time line, as a share of what lies between its ends.
fn across(element: ElementRef<'_>, name: &str) -> f64 {
    let share = element.attr(name).unwrap().trim_end_matches('%');
    share.parse::<f64>().unwrap() / 98.4
}

#[test]
fn faults_are_bars_from_when_they_act_to_when_they_end() {
    let page = page("ours-aborted");
    let bars = all(&page, ".lanes rect.bar.fault");
    // The delay acts when its action is over, and ends with the guard: 5.9 s to 31.26 s of 33.8 s.
    let (from, wide) = (across(bars[0], "x"), across(bars[0], "width"));
    assert!((from - (0.008 / 0.984 + 5.9 / 33.8)).abs() < 1e-3, "{from}");
    assert!((wide - 25.36 / 33.8).abs() < 1e-3, "{wide}");
    assert_eq!(bars.len(), 2);
    // They stand behind what probes saw, on every track.
    let tracks = all(&page, "svg.track").len();
    assert_eq!(all(&page, "svg.track rect.shade").len(), 2 * tracks);
    assert_eq!(all(&page, "svg.track line.cut").len(), tracks);
    assert_eq!(
        all(&page, "rect.bar.background").len() + all(&page, "rect.bar.bad").len(),
        1
    );
    assert_eq!(texts(&page, ".key .of-fault"), ["a fault acts"]);
    assert!(
        texts(
            &Html::parse_document(&report::html(&[journal("reference-passing")], None)),
            ".key .of-fault"
        )
        .is_empty()
    );
}

#[test]
fn counters_are_those_of_the_journal() {
    let mut journal = value("ours-aborted");
    let hits = |journal: &Value| texts(&of(journal), ".counters li");
    let before = hits(&journal);
    assert_eq!(
        before[..2],
        ["48,211 matched packets", "37,204,480 matched bytes"]
    );
    journal["run"][1]["chaos"]["totals"]["matched_packets"] = json!(48_212);
    journal["run"][2]["chaos"]["totals"]["dropped_packets"] = json!(0);
    let after = hits(&journal);
    assert_eq!(after[0], "48,212 matched packets");
    assert_eq!(after.len(), before.len() - 1);
    let targets = texts(&of(&journal), ".fault tbody tr td:first-child");
    assert_eq!(targets[0], "shop/provider-0 · eth0 · node-a");
    let said = texts(&of(&journal), ".fault:first-of-type p");
    let wanted = [
        "delay: latency 100ms, jitter 20ms, service provider-chaos-service, duration 30s",
        "delay 100 ms ± 20 ms on 2 targets",
        "Ended: the run stopped it",
        "the pod shop/provider-1 joined after 4 s",
    ];
    assert!(
        wanted
            .iter()
            .all(|line| said.iter().any(|known| known == line)),
        "{said:?}"
    );
    journal["run"][2]["chaos"]["totals"] = json!({ "matched_packets": 0 });
    assert_eq!(texts(&of(&journal), ".fault .warned"), ["It hit nothing."]);
}

#[test]
fn guards_undo_and_recovery_are_told() {
    let page = page("ours-aborted");
    let guards = texts(&page, ".guards li");
    assert_eq!(
        guards,
        [
            "error-rate tripped at 31.2 s : saw 0.24",
            "nobody-is-paged did not trip"
        ]
    );
    let told = texts(&page, ".told li").join(" ");
    assert!(
        told.contains("The guard error-rate tripped: it saw 0.24."),
        "{told}"
    );
    assert!(
        told.contains("After the rollbacks, the steady state was there again."),
        "{told}"
    );
    assert_eq!(
        texts(&page, ".undone .name"),
        ["undo: packets-get-lost", "open-the-circuit"]
    );
    assert_eq!(
        texts(&page, ".undone li:first-child .chip"),
        ["action", "undo"]
    );
    assert_eq!(
        texts(&page, ".believed thead th"),
        ["Probe", "Expected", "Before", "During", "Recovery"]
    );
    assert_eq!(
        texts(&page, ".facts ol li"),
        ["traces of the experiment chaostracing.oltp"]
    );
}

#[test]
fn an_end_is_said_once_and_as_precisely_as_it_is_known() {
    let mut journal = value("ours-aborted");
    let mut ended = |reason: &str, code: &str, detail: &str| {
        let fault = &mut journal["run"][1]["chaos"];
        fault["reason"] = json!(reason);
        fault["end_reason"] = json!(code);
        fault["end_detail"] = json!(detail);
        let said = texts(&of(&journal), ".fault:first-of-type p");
        let mut ends = said.iter().filter_map(|line| line.strip_prefix("Ended: "));
        ends.next().unwrap().to_owned()
    };
    let passed = "its duration has passed";
    assert_eq!(
        ended(passed, "expired", "its 2s have passed"),
        "its 2s have passed"
    );
    let run = "the run stopped it";
    assert_eq!(ended(run, "stopped", "it was stopped"), run);
    assert_eq!(
        ended(run, "stopped", "its agent is gone"),
        "the run stopped it: its agent is gone"
    );
    assert_eq!(
        ended("target_gone", "target_gone", "target gone: shop/web-0"),
        "target gone: shop/web-0"
    );
    assert_eq!(
        ended("client_gone", "client_gone", "its client was gone for 5s"),
        "its client was gone for 5s"
    );
    let error = "delay-1 ended before its time: a module is missing";
    assert_eq!(ended(error, "failed", "a module is missing"), error);
    assert_eq!(
        ended("failed", "failed", "a module is missing"),
        "failed: a module is missing"
    );
}

#[test]
fn one_of_a_counter_has_no_plural() {
    let mut given = value("ours-aborted");
    given["run"][1]["chaos"]["totals"] = json!({
        "matched_packets": 2, "dropped_packets": 1, "dropped_bytes": 1, "requests": { "seen": 1, "headers_changed": 1 },
    });
    let wanted = [
        "2 matched packets",
        "1 dropped packet",
        "1 dropped byte",
        "1 request seen",
        "1 request headers changed",
    ];
    let counters = texts(&of(&given), ".fault:first-of-type .counters li");
    let in_any_order = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(
        in_any_order(counters),
        in_any_order(wanted.map(str::to_owned).to_vec())
    );
    let journal = report::read("j", &given.to_string()).unwrap();
    let markdown = report::markdown(&[journal], None);
    assert!(markdown.contains("1 dropped packet,"), "{markdown}");
}

/// A narrow screen has no room for the heads of the columns: each number says what it counts.
#[test]
fn what_was_hit_at_a_target_has_its_names_on_a_narrow_screen() {
    let page = page("ours-aborted");
    let tables = all(&page, ".fault table.stack");
    assert_eq!(tables.len(), all(&page, ".fault table").len());
    assert!(!tables.is_empty());
    let [heads, cells] = ["thead th", "tbody tr:first-child td"]
        .map(|cells| scraper::Selector::parse(cells).unwrap());
    for table in tables {
        let heads: Vec<_> = table.select(&heads).skip(1).map(said).collect();
        let labels = table.select(&cells).skip(1);
        let labels: Vec<_> = labels.filter_map(|cell| cell.attr("data-label")).collect();
        assert_eq!(labels, heads);
    }
}

#[test]
fn activities_are_counted_alike_and_rollbacks_among_them() {
    let journals = [journal("ours-aborted"), journal("reference-deviating")];
    let page = Html::parse_document(&report::html(&journals, None));
    for number in 1..=2 {
        let listed = all(&page, &format!("#j{number} .steps > li")).len();
        assert!(!all(&page, &format!("#j{number} .undone .steps > li")).is_empty());
        let figures = texts(&page, &format!("#j{number} .result > span"));
        let figure = format!("{listed} activities");
        assert!(figures.contains(&figure), "{figure}: {figures:?}");
        let cell = format!(".overview tbody tr:nth-child({number}) [data-label=Activities]");
        let cell = texts(&page, &cell).concat();
        assert_eq!(cell.split(',').next(), Some(listed.to_string().as_str()));
    }
}

/// A value holds until the next look, as a step, and where a look saw none nothing is known.
#[test]
fn the_course_of_a_probe_has_steps_and_gaps() {
    let look = |second: u32, seen: Value| {
        let status = if seen.is_null() {
            "failed"
        } else {
            "succeeded"
        };
        json!({
            "activity": { "type": "probe", "name": "shop", "provider": {} }, "status": status,
            "start": format!("2026-01-01T00:00:{second:02}+00:00"), "duration": 0.0, "output": seen,
        })
    };
    let statuses = [Some(200), None, Some(503), Some(503), Some(200)];
    let looks: Vec<_> = (0..)
        .zip(statuses)
        .map(|(second, status)| {
            let output = status.map(|status| json!({ "status": status }));
            look(second, output.unwrap_or_default())
        })
        .collect();
    let page = of(&json!({
        "experiment": { "title": "x" }, "status": "completed", "start": "2026-01-01T00:00:00+00:00",
        "end": "2026-01-01T00:00:04+00:00", "run": looks,
    }));
    let lines = all(&page, "line.value");
    let ends = |line: &ElementRef<'_>| {
        ["x1", "y1", "x2", "y2"].map(|name| line.attr(name).unwrap().to_owned())
    };
    let lines: Vec<_> = lines.iter().map(ends).collect();
    let dots = all(&page, "circle.dot");
    let dots: Vec<_> = dots
        .iter()
        .map(|dot| ["cx", "cy"].map(|name| dot.attr(name).unwrap().to_owned()))
        .collect();
    assert_eq!(dots.len(), 5, "{dots:?}");
    let [_, _, from, still, back] = &dots[..] else {
        unreachable!("five dots were counted")
    };
    let line = |[x1, y1]: [&String; 2], [x2, y2]: [&String; 2]| [x1, y1, x2, y2].map(Clone::clone);
    let wanted = [
        line([&from[0], &from[1]], [&still[0], &from[1]]),
        line([&still[0], &still[1]], [&back[0], &still[1]]),
        line([&back[0], &still[1]], [&back[0], &back[1]]),
    ];
    assert_eq!(lines, wanted);
}
