//! What an answer and a failure say beside the steps.

mod support;

use support::parse;
use xpkg_model::Ecosystem;
use xpkg_resolver::{Unsolvable, What, why};

fn one(text: &str) -> support::Case {
    parse(&format!("== one\n{text}")).unwrap().remove(0)
}

#[test]
fn what_the_request_names_becomes_explicit_even_when_it_is_there() {
    let case = one("have alpine:b 1-r0\noffer alpine:a 1-r0 | depends: c\noffer alpine:c 1-r0\ninstall a b");
    let (solution, plan) = case.solve().unwrap();
    let named: Vec<&str> = solution.now_explicit().iter().map(|(_, n)| n.as_str()).collect();
    assert_eq!(named, ["a", "b"]);
    let explicit: Vec<(&str, bool)> = plan.steps.iter().map(|s| (s.package.name.as_str(), s.explicit)).collect();
    assert_eq!(explicit, [("c", false), ("a", true)]);
    assert_eq!(solution.now_explicit()[0].0, Ecosystem::Alpine);
    assert_eq!(solution.packages().count(), 3);
    assert_eq!(solution.incoming().count(), 2);
}

#[test]
fn a_failure_is_text_and_a_tree() {
    let case = one("offer alpine:a 1-r0 | depends: so:x.so\ninstall a");
    let error: Unsolvable = case.solve().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the request cannot be met:\n  a was asked for\n    alpine:a 1-r0 could give it, but\n      \
         alpine:a 1-r0 needs so:x.so\n        so:x.so: not found in any source"
    );
    let statements = error.reasons[0].statements();
    assert!(statements.contains(&&What::NotFound { name: "so:x.so".into(), sources: "any source".into() }));
    assert!(!error.is_source_failure());
}

#[test]
fn why_tells_the_chain_from_a_choice() {
    let case = one(
        "native openwrt\nhave openwrt:zlib 1-r1 | provides: so:libz.so.1\nhave alpine:git 1-r0 explicit | depends: so:libz.so.1",
    );
    let tree = why(&case.installed, &case.host, &"zlib".parse().unwrap()).unwrap();
    assert_eq!(
        tree.to_string(),
        "openwrt:zlib 1-r1 is installed\n  alpine:git 1-r0 needs so:libz.so.1\n    alpine:git 1-r0 was asked for"
    );
    assert!(why(&case.installed, &case.host, &"alpine:zlib".parse().unwrap()).is_none());
}

#[test]
fn a_source_that_cannot_be_read_is_no_missing_package() {
    struct Broken;
    type Answer<T> = Result<Vec<T>, xpkg_model::candidates::CandidatesError>;
    type Package = std::sync::Arc<xpkg_model::Package>;
    impl xpkg_model::Candidates for Broken {
        fn named(&self, _: Ecosystem, _: &str) -> Answer<Package> {
            Err("main.sqlite is damaged".into())
        }
        fn providing(&self, _: Ecosystem, _: &str) -> Answer<Package> {
            Err("main.sqlite is damaged".into())
        }
        fn installed_if(&self, _: Ecosystem, _: &str) -> Answer<Package> {
            Ok(Vec::new())
        }
        fn hinted(&self, _: Ecosystem, _: &str) -> Answer<String> {
            Ok(Vec::new())
        }
    }
    let case = one("install a");
    let problem = xpkg_resolver::Problem {
        installed: &case.installed,
        host: &case.host,
        candidates: &Broken,
        request: &case.request,
        learnt: &[],
    };
    let error = xpkg_resolver::solve(&problem).unwrap_err();
    assert!(error.is_source_failure());
    assert!(error.to_string().contains("main.sqlite is damaged"));
}
