//! The pages as a web: every link between them leads somewhere, and the book holds them all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Page, pages, root};

const SUMMARY: &str = "docs/SUMMARY.md";

/// The targets of a page's links and pictures, with their lines.
fn targets(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in page.prose() {
        let text = without_code(text);
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')] {
            let after = text.split(opening).skip(1);
            found.extend(after.filter_map(|rest| rest.split_once(closing)).map(|(target, _)| (line, target.to_owned())));
        }
    }
    found
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut counts = BTreeMap::new();
    let headings = page.prose().into_iter().filter_map(|(_, line)| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    headings
        .map(|heading| {
            let heading = heading.trim().to_lowercase();
            // Of a link, the text counts.
            let shown: String = heading
                .split('[')
                .map(|part| part.split_once("](").map_or(part.to_owned(), |(text, rest)| format!("{text}{}", rest.split_once(')').unwrap_or_default().1)))
                .collect();
            let slug: String = shown.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = counts.entry(slug.clone()).or_insert(0);
            *count += 1;
            if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
        })
        .collect()
}

/// The path a link leads to, from the root.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Links that lead nowhere, and those out of the book.
fn broken(page: &Page, all: &[Page]) -> Vec<String> {
    let mut problems = Vec::new();
    for (line, target) in targets(page) {
        if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
            continue;
        }
        let (path, anchor) = target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let path = if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
        let known = path.as_ref().and_then(|path| all.iter().find(|page| page.path == *path));
        let problem = match &path {
            Some(path) if known.is_some() || root().join(path).exists() => {
                if page.path.starts_with("docs/") && !path.starts_with("docs/") {
                    "leads out of the book"
                } else if page.path.starts_with("docs/") && page.path != SUMMARY && path.ends_with("/README.md") {
                    "is called index.html in the book"
                } else if anchor.is_some_and(|anchor| known.is_none_or(|page| !anchors(page).contains(anchor))) {
                    "names no heading"
                } else {
                    continue;
                }
            }
            _ => "leads nowhere",
        };
        problems.push(format!("{}:{line}: {target} {problem}", page.path));
    }
    problems
}

#[test]
fn every_link_leads_somewhere() {
    let all = pages();
    let problems: Vec<_> = all.iter().flat_map(|page| broken(page, &all)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(all.iter().map(|page| targets(page).len()).sum::<usize>() > 50);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let all = [
        Page::planted("docs/a.md", "# One `two` three!\n## Same\n## Same\n[b](b.md#here)\n```text\n[x](x.md)\n```\n`[x](x.md)`\n"),
        Page::planted("docs/b.md", "# Here\n[1](a.md#one-two-three) [2](a.md#same-1) [3](https://example.com/x.md#y) ![4](../docs/a.md)\n"),
        Page::planted("docs/x/README.md", ""),
        Page::planted("docs/c.md", "[1](a.md#none)\n[2](d.md)\n<img src=\"d.png\">\n[4](../README.md)\n[5](../../up.md)\n[6](#gone)\n[7](x/README.md)\n"),
    ];
    assert_eq!(broken(&all[0], &all), [""; 0]);
    assert_eq!(broken(&all[1], &all), [""; 0]);
    let lines: Vec<_> = broken(&all[3], &all);
    let expected = [
        "docs/c.md:1: a.md#none names no heading",
        "docs/c.md:2: d.md leads nowhere",
        "docs/c.md:3: d.png leads nowhere",
        "docs/c.md:4: ../README.md leads out of the book",
        "docs/c.md:5: ../../up.md leads nowhere",
        "docs/c.md:6: #gone names no heading",
        "docs/c.md:7: x/README.md is called index.html in the book",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_book_holds_every_page_once() {
    let all = pages();
    let summary = all.iter().find(|page| page.path == SUMMARY).unwrap();
    let mut listed: Vec<_> = targets(summary).into_iter().filter_map(|(_, target)| resolve(&summary.path, &target)).collect();
    listed.sort();
    let there: Vec<_> = all.iter().map(|page| page.path.clone()).filter(|path| path.starts_with("docs/") && *path != summary.path).collect();
    assert_eq!(listed, there);
}

#[test]
fn the_pictures_are_ours_and_load_nothing() {
    for picture in std::fs::read_dir(root().join("docs/images")).unwrap().map(|file| file.unwrap().path()) {
        if Path::new(&picture).extension().is_some_and(|extension| extension == "svg") {
            let text = std::fs::read_to_string(&picture).unwrap().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http") && !text.contains("<script") && text.contains("<title"), "{}", picture.display());
        }
    }
}
