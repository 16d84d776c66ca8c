//! Whatever a file holds, reading it ends: with a configuration, or with problems that say where.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, proptest};

use super::{Plant, VALID};

const DOCUMENTED: &str = include_str!("../../../config.toml");

/// Pieces that mistakes are made of.
fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "\"",
            "'''",
            "[",
            "]]",
            "{",
            "}",
            "=",
            ",",
            "\n",
            "#",
            ".",
            "-1",
            "1e999",
            "nan",
            "true",
            "\u{feff}",
            "99999999999999999999999",
            "1979-05-27",
            "[[modbus]]\n",
            "x = 1\n",
            "press-1.*",
            "\\u0000",
            "ä",
            "\t",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,8}",
    ]
}

fn assert_ends_well(content: &[u8]) -> Result<(), proptest::test_runner::TestCaseError> {
    match Plant::with(content).load() {
        Ok(config) => prop_assert!(config.warnings.errors() == 0),
        Err(report) => {
            prop_assert!(report.errors() > 0);
            for problem in report.problems() {
                let is_of_a_line = problem.place.line > 0 && problem.place.column > 0;
                let is_of_the_file = problem.place.line == 0 && problem.path.is_empty();
                prop_assert!(is_of_a_line || is_of_the_file, "{problem:?}");
                prop_assert!(!problem.message.is_empty());
            }
            prop_assert!(report.to_string().ends_with("nothing was started"));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_report(content in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_ends_well(&content)?;
    }

    #[test]
    fn any_edits_of_a_configuration_end_in_a_configuration_or_a_report(
        base in prop::sample::select(vec![VALID, DOCUMENTED]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, pieces()), 1..5),
    ) {
        let mut text: Vec<char> = base.chars().collect();
        for (place, cut, piece) in edits {
            let start = place.index(text.len());
            let end = (start + cut).min(text.len() - 1).max(start);
            text.splice(start..end, piece.chars());
        }
        assert_ends_well(String::from_iter(text).as_bytes())?;
    }

    #[test]
    fn any_tag_list_ends_in_a_configuration_or_a_report(
        rows in prop::collection::vec("(a|b|1|holding:1|u16|0\\.1|\"|,|;|ä| ){0,12}", 0..6),
    ) {
        let config = super::edited("tags = [\n", "tags_file = \"tags.csv\"\ntags = [\n");
        let plant = Plant::with(config).and("tags.csv", format!("name,at,type,scale\n{}", rows.join("\n")));
        if let Err(report) = plant.load() {
            prop_assert!(report.problems().iter().all(|problem| problem.place.line > 0));
        }
    }
}
