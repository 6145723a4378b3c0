//! Laws that hold for any input: no panic, one precedence, no secret in anything that is printed.

use super::*;

/// Everything that is made to be printed, for one reading.
fn all_prints(arguments: &[OsString], environment: &BTreeMap<String, String>) -> String {
    let report = check(arguments.iter().cloned(), environment, Path::new(""));
    let json = serde_json::to_string(&report).unwrap();
    let loaded = load(arguments.iter().cloned(), environment);
    let banner = loaded
        .as_ref()
        .map(|loaded| loaded.banner.clone())
        .unwrap_or_default();
    let errors = loaded
        .as_ref()
        .map_err(ToString::to_string)
        .err()
        .unwrap_or_default();
    format!("{report}{report:?}{json}{banner}{errors}{loaded:?}")
}

fn hidden_options() -> Vec<&'static OptionSpec> {
    options()
        .filter(|option| option.secrecy != Secrecy::Public)
        .collect()
}

/// A value for a hidden option that holds `core` where secrets stand.
fn hiding(option: &OptionSpec, core: &str, place: usize) -> String {
    match (option.secrecy, place) {
        (Secrecy::Secret, 0) => core.to_owned(),
        (Secrecy::Secret, 1) => format!("/{core}.txt"),
        (Secrecy::Secret, _) => format!("-{core}=a b"),
        (_, 0) => format!("https://user:{core}@example.com/"),
        (_, 1) => format!("wss://example.com:8546/v2/{core}"),
        (_, 2) => format!("http://example.com?key={core}"),
        (_, _) => format!("not a url {core}"),
    }
}

proptest! {
    #[test]
    fn secrets_are_in_nothing_that_is_printed(index in 0_usize..1000, place in 0_usize..4, core in "Zq[a-zA-Z0-9]{8}", way in 0_usize..3, broken in any::<bool>()) {
        let hidden = hidden_options();
        let option = hidden[index % hidden.len()];
        let value = hiding(option, &core, place);
        let mut environment = home();
        let mut arguments: Vec<OsString> = Vec::new();
        match way {
            0 => arguments.extend([format!("-{}", option.name).into(), value.into()]),
            1 => arguments.push(format!("--{}={value}", option.name).into()),
            _ => { environment.insert(option.env_name(), value); }
        }
        if broken {
            arguments.extend(["-maxSessions".into(), "-1".into()]);
        }
        let prints = all_prints(&arguments, &environment);
        prop_assert!(!prints.contains(&core), "{} leaks: {prints}", option.name);
    }

    #[test]
    fn a_mistyped_name_does_not_print_its_value(core in "Zq[a-zA-Z0-9]{8}") {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("o.conf");
        std::fs::write(&file, format!("orchSecrt {core}\norchSecret={core}\ncliToken:{core} x\n-ethPassword={core}\n")).unwrap();
        let arguments = [OsString::from(format!("-orchSecrt={core}")), "-orchSecrt".into(), core.clone().into(), "-config".into(), file.into()];
        prop_assert!(!all_prints(&arguments, &home()).contains(&core));
    }

    #[test]
    fn the_place_of_higher_rank_wins(line in prop::option::of(1_u32..9999), variable in prop::option::of(1_u32..9999), entry in prop::option::of(1_u32..9999)) {
        let directory = tempfile::tempdir().unwrap();
        let text = entry.map(|number| format!("maxSessions {number}\n")).unwrap_or_default();
        std::fs::write(directory.path().join("o.conf"), text).unwrap();
        let mut arguments: Vec<OsString> = vec!["-config".into(), "o.conf".into()];
        arguments.extend(line.map(|number| format!("-maxSessions={number}").into()));
        let mut environment = home();
        environment.extend(variable.map(|number| ("LP_MAXSESSIONS".to_owned(), number.to_string())));
        let settings = load_in(arguments, &environment, directory.path()).unwrap().settings;
        prop_assert_eq!(settings.video.max_sessions, line.or(variable).or(entry).unwrap_or(10));
    }

    #[test]
    fn no_input_makes_reading_panic(
        words in prop::collection::vec("\\PC{0,12}", 0..4),
        names in prop::collection::vec((0_usize..1000, "[-a-z0-9:/.,@\\[\\]]{0,16}"), 0..6),
        text in "(\\PC|\n| ){0,60}",
    ) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("o.conf"), text).unwrap();
        let all: Vec<_> = options().collect();
        let mut arguments: Vec<OsString> = vec!["-config=o.conf".into()];
        arguments.extend(names.iter().map(|(index, value)| format!("-{}={value}", all[index % all.len()].name).into()));
        arguments.extend(words.iter().map(OsString::from));
        let report = check(arguments, &home(), directory.path());
        prop_assert_eq!(report.ok, report.settings.is_some());
    }
}
