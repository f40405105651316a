//! Reports of real journals of the reference, and of ours, as a browser reads them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::path::Path;

use chaos_toolkit::report::{self, Journal};
use scraper::{ElementRef, Html, Selector};
use serde_json::{Value, json};

const ALL: [&str; 8] = [
    "reference-passing",
    "reference-deviating",
    "reference-failing",
    "reference-exploring",
    "reference-continuous",
    "ours-aborted",
    "hostile",
    "nothing",
];

fn text(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    std::fs::read_to_string(directory.join(name).with_extension("json")).unwrap()
}

fn value(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn journal(name: &str) -> Journal {
    report::read(&format!("{name}.json"), &text(name)).unwrap()
}

fn of(value: &Value) -> Html {
    let journal = report::read("journal.json", &value.to_string()).unwrap();
    Html::parse_document(&report::html(&[journal], None))
}

fn page(name: &str) -> Html {
    Html::parse_document(&report::html(&[journal(name)], None))
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

/// What is read there, with one space between words.
fn said(element: ElementRef<'_>) -> String {
    let texts: Vec<_> = element.text().collect();
    let text = texts.join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    all(page, selector).into_iter().map(said).collect()
}

#[test]
fn the_markup_is_what_browsers_agree_on() {
    for name in ALL {
        let page = page(name);
        assert_eq!(page.errors, [""; 0], "{name}");
        let ids: Vec<_> = all(&page, "[id]")
            .iter()
            .map(|with| with.attr("id").unwrap().to_owned())
            .collect();
        assert_eq!(ids, ["j1"], "{name}");
    }
}

#[test]
fn the_page_loads_and_runs_nothing() {
    let journals: Vec<_> = ALL.iter().map(|name| journal(name)).collect();
    let page = Html::parse_document(&report::html(&journals, None));
    for element in all(&page, "*") {
        let name = element.value().name();
        let known = [
            "script",
            "link",
            "img",
            "image",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "use",
            "foreignObject",
        ];
        assert!(!known.contains(&name), "{name}");
        for (attribute, value) in element.value().attrs() {
            let harmless = match attribute {
                "src" | "srcset" | "data" | "action" | "style" => false,
                "href" | "xlink:href" => value.starts_with("#j"),
                _ => !attribute.starts_with("on"),
            };
            assert!(harmless, "{name} {attribute}={value}");
            // A chart of the largest numbers is a chart.
            let is_place = [
                "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height",
            ]
            .contains(&attribute);
            let number = value.trim_end_matches('%').parse::<f64>();
            assert!(
                !is_place || number.is_ok_and(f64::is_finite),
                "{name} {attribute}={value}"
            );
        }
    }
    let style = texts(&page, "style");
    assert_eq!(style.len(), 1);
    for word in ["url(", "@import", "image-set", "http:"] {
        assert!(!style[0].contains(word), "{word}");
    }
    let policy = all(&page, "meta[http-equiv=Content-Security-Policy]")[0]
        .attr("content")
        .unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"),
        "{policy}"
    );
}

#[test]
fn what_a_journal_says_is_text() {
    let title = value("hostile")["experiment"]["title"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = page("hostile");
    let shown = title.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(texts(&page, "h1"), std::slice::from_ref(&shown));
    assert_eq!(texts(&page, "title")[0], shown);
    let markdown = report::markdown(&[journal("hostile")], None);
    // Within fences it is text; elsewhere it must have been escaped.
    let outside = markdown.lines().scan("", |fence: &mut &str, line| {
        let is_fence = line.starts_with("```") && line.trim_start_matches('`').is_empty();
        let within = !fence.is_empty();
        if is_fence && !within {
            *fence = line;
        } else if is_fence && line == *fence {
            *fence = "";
        }
        Some((within || is_fence, line))
    });
    for (_, line) in outside.filter(|(within, _)| !within) {
        assert!(!line.contains('<'), "{line}");
    }
}

#[test]
fn secrets_of_the_reference_are_not_passed_on() {
    assert!(text("reference-continuous").contains("hunter2"));
    let journals = [journal("reference-continuous")];
    for report in [
        report::html(&journals, None),
        report::markdown(&journals, None),
    ] {
        assert!(!report.contains("hunter2"));
        assert!(report.contains("\\*\\*\\*") || report.contains("***"));
    }
}

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
fn several_journals_begin_with_an_overview() {
    let names = [
        "reference-passing",
        "reference-deviating",
        "reference-failing",
        "reference-passing",
    ];
    let mut journals: Vec<_> = names.iter().map(|name| journal(name)).collect();
    let mut later = value("reference-passing");
    later["start"] = json!("2030-01-01T00:00:00+00:00");
    later["deviated"] = json!(true);
    journals[3] = report::read("later.json", &later.to_string()).unwrap();
    let page = Html::parse_document(&report::html(&journals, Some("Game day")));
    assert_eq!(page.errors, [""; 0]);
    assert_eq!(texts(&page, "h1")[0], "Game day");
    assert_eq!(
        texts(&page, ".counts"),
        ["2 deviated · 1 not steady before · 1 steady"]
    );
    let links: Vec<_> = all(&page, ".overview a")
        .iter()
        .map(|link| link.attr("href").unwrap()[1..].to_owned())
        .collect();
    let articles: Vec<_> = all(&page, "article")
        .iter()
        .map(|article| article.attr("id").unwrap().to_owned())
        .collect();
    assert_eq!((links.len(), links), (4, articles));
    let trend = all(&page, ".overview tr:nth-child(1) .trend circle");
    let classes: Vec<_> = trend.iter().map(|dot| dot.attr("class").unwrap()).collect();
    assert_eq!(classes, ["dot good this", "dot bad"]);
    // An experiment that ran twice has one row, and each characteristic one column.
    let matrix = texts(&page, ".contributes > .scroll .matrix tbody tr th");
    assert_eq!(matrix.len(), 3);
    let columns = texts(&page, ".contributes > .scroll .matrix thead th");
    assert_eq!(
        columns,
        ["Experiment", "availability", "reliability", "security"]
    );
    let filled = all(
        &page,
        ".contributes > .scroll .matrix tbody tr:nth-child(1) td:nth-child(2) rect.full",
    );
    assert_eq!(filled.len(), 2);
}

#[test]
fn one_contributions_chart_has_a_level_for_each() {
    let page = page("reference-continuous");
    assert_eq!(
        texts(&page, ".levels li"),
        [
            "high reliability high",
            "medium performance medium",
            "none security none",
            "low scalability low"
        ]
    );
    assert_eq!(all(&page, ".levels rect.full").len(), 6);
}

#[test]
fn nothing_and_a_thousand_activities_have_a_page() {
    let nothing = page("nothing");
    assert_eq!(
        texts(&nothing, ".did"),
        ["What was done Nothing of the method was played."]
    );
    assert!(all(&nothing, ".lanes").is_empty());
    let mut at_once = value("nothing");
    at_once["start"] = json!("2026-11-21T09:30:00+00:00");
    assert!(all(&of(&at_once), ".lanes").is_empty());
    let run = |number: usize| {
        let at = format!("2026-11-21T09:{:02}:{:02}+00:00", number / 60, number % 60);
        let activity = json!({ "name": format!("probe-{number}"), "type": "probe" });
        json!({ "activity": activity, "output": number, "status": "succeeded", "start": at, "duration": 0.5 })
    };
    let runs: Vec<_> = (0..1000).map(run).collect();
    let journal = json!({ "experiment": { "title": "many" }, "status": "completed", "run": runs });
    let html = report::html(&[report::read("j", &journal.to_string()).unwrap()], None);
    let page = Html::parse_document(&html);
    assert_eq!(all(&page, ".steps > li").len(), 1000);
    assert_eq!(all(&page, ".lanes circle.dot").len(), 1000);
    // The time line and its phases, twenty probes, and one lane for all others.
    assert_eq!(all(&page, ".lane").len(), 23);
    assert!(html.len() < 2_000_000, "{}", html.len());
}

#[test]
fn long_outputs_are_folded_and_cut() {
    let mut journal = value("reference-exploring");
    journal["run"][0]["output"] = json!("ä".repeat(50_000));
    let page = of(&journal);
    let shown = texts(&page, ".did .fold:not([open]) pre").concat();
    assert_eq!(shown.chars().count(), 20_000);
    assert!(
        said(all(&page, ".did .fold")[0]).contains("30000 more characters are in the journal.")
    );
}

#[test]
fn markdown_has_the_same_in_tables() {
    let journals = [journal("ours-aborted"), journal("reference-deviating")];
    let markdown = report::markdown(&journals, None);
    for line in [
        "# 2 experiments",
        "### What was believed",
        "- The guard error-rate tripped: it saw 0.24.",
        "- After the method, the-file-exists saw false where true was expected.",
        "| Experiment | availability | performance | reliability | security |",
    ] {
        assert!(
            markdown.lines().any(|known| known == line),
            "{line}\n{markdown}"
        );
    }
    assert!(markdown.contains("48211 matched packets, 37204480 matched bytes"));
    // Every row of a table has as many cells as its head.
    let mut cells = None;
    for line in markdown.lines() {
        let count = line
            .starts_with('|')
            .then(|| line.replace("\\|", "").matches('|').count());
        if let (Some(before), Some(now)) = (cells, count) {
            assert_eq!(before, now, "{line}");
        }
        cells = count;
    }
}
