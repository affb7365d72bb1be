//! Writes random valid queries over the small graph: aliases, merged keys, fragments within fragments, skip and include.

use std::fmt::Write;

/// Decides by the draws it was given, and by zeros when they are used up; so fewer draws are a simpler query.
pub(super) struct Writer<'d> {
    draws: std::slice::Iter<'d, u8>,
}

const FIELDS: [(&str, &[(&str, &str)]); 4] = [
    (
        "Query",
        &[
            ("word", ""),
            ("mustWord", ""),
            ("thing", "Thing"),
            ("mustThing", "Thing"),
            ("things", "Thing"),
            ("mustThings", "Thing"),
            ("node", "Node"),
            ("nodes", "Node"),
            ("either", "Either"),
        ],
    ),
    (
        "Thing",
        &[
            ("name", ""),
            ("mustName", ""),
            ("id", ""),
            ("words", ""),
            ("child", "Thing"),
            ("mustChild", "Thing"),
            ("children", "Thing"),
            ("holes", "Thing"),
            ("friend", "Node"),
        ],
    ),
    ("Other", &[("size", ""), ("mustSize", ""), ("id", ""), ("thing", "Thing")]),
    ("Node", &[("id", "")]),
];

const FRAGMENTS: [(&str, &str); 4] = [("T0", "Thing"), ("T1", "Thing"), ("N2", "Node"), ("Q3", "Query")];

impl<'d> Writer<'d> {
    pub(super) fn write(draws: &'d [u8]) -> String {
        let mut writer = Self { draws: draws.iter() };
        let mut document =
            "query ($yes: Boolean!, $no: Boolean!, $byDefault: Boolean = true) { v: word @skip(if: $yes) @include(if: $no) w: word @skip(if: $byDefault)"
                .to_owned();
        writer.selections("Query", 4, FRAGMENTS.len(), &mut document);
        document.push_str(" }");
        for (number, (name, ty)) in FRAGMENTS.iter().enumerate().rev() {
            if document.contains(&format!("...{name}")) {
                write!(document, " fragment {name} on {ty} {{").unwrap();
                writer.selections(ty, 2, number, &mut document);
                document.push_str(" }");
            }
        }
        document
    }

    fn draw(&mut self, sides: usize) -> usize {
        usize::from(*self.draws.next().unwrap_or(&0)) % sides
    }

    /// One to four selections on `ty`; fragments from number `fragments` on are not spread, so that none spreads itself.
    fn selections(&mut self, ty: &str, depth: usize, fragments: usize, into: &mut String) {
        for _ in 0..=self.draw(4) {
            match self.draw(6) {
                0..=2 => self.field(ty, depth, fragments, into),
                3 => self.spread(ty, depth, fragments, into),
                4 if depth > 0 => self.inline_fragment(ty, depth, fragments, into),
                _ => into.push_str(" __typename"),
            }
        }
    }

    fn field(&mut self, ty: &str, depth: usize, fragments: usize, into: &mut String) {
        let fields = FIELDS.iter().find(|(name, _)| *name == ty).map_or(&[][..], |(_, fields)| fields);
        let shown = if depth == 0 { fields.iter().filter(|(_, inner)| inner.is_empty()).count() } else { fields.len() };
        if shown == 0 {
            into.push_str(" kind: __typename");
            return;
        }
        let (name, inner) = fields[self.draw(shown)];
        match self.draw(3) {
            0 => write!(into, " {name}").unwrap(),
            number => write!(into, " {name}{number}: {name}").unwrap(),
        }
        self.directive(into);
        if !inner.is_empty() {
            into.push_str(" {");
            self.selections(inner, depth - 1, fragments, into);
            into.push_str(" }");
        }
    }

    fn spread(&mut self, ty: &str, depth: usize, fragments: usize, into: &mut String) {
        let number = self.draw(FRAGMENTS.len());
        let (name, condition) = FRAGMENTS[number];
        if number < fragments && (condition == "Query") == (ty == "Query") && !(condition == "Thing" && ty == "Other") {
            write!(into, " ...{name}").unwrap();
            self.directive(into);
        } else {
            self.field(ty, depth, fragments, into);
        }
    }

    fn inline_fragment(&mut self, ty: &str, depth: usize, fragments: usize, into: &mut String) {
        let conditions: &[&str] = match ty {
            "Query" => &["", "Query"],
            "Thing" => &["", "Thing", "Node"],
            "Other" => &["", "Other", "Node"],
            "Node" => &["", "Thing", "Other", "Node"],
            _ => &["", "Thing", "Other", "Node", "Either"],
        };
        let condition = conditions[self.draw(conditions.len())];
        let inner = if condition.is_empty() { ty } else { condition };
        into.push_str(" ...");
        if !condition.is_empty() {
            write!(into, " on {condition}").unwrap();
        }
        self.directive(into);
        into.push_str(" {");
        self.selections(inner, depth - 1, fragments, into);
        into.push_str(" }");
    }

    fn directive(&mut self, into: &mut String) {
        into.push_str(match self.draw(12) {
            6 => " @skip(if: $yes)",
            7 => " @include(if: $no)",
            8 => " @include(if: $byDefault)",
            9 => " @skip(if: $no) @include(if: $yes)",
            10 => " @skip(if: $byDefault)",
            11 => " @include(if: true)",
            _ => "",
        });
    }
}
