//! The page as a page: what it loads, what it makes of odd and of many journals, and the same in Markdown.

use chaos_toolkit::report;
use scraper::Html;
use serde_json::json;

use crate::{ALL, all, journal, of, page, said, text, texts, value};

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
