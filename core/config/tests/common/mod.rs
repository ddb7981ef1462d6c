//! Shared by the tests of the command line.
#![allow(dead_code, reason = "each test program uses a part")]

use config::{Action, Config, Failure, Field, Level, Notice};

pub fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub fn run(args: &[String], env: &[(&str, &str)]) -> Result<(Action, Vec<Notice>), Failure> {
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    config::parse(args, &env)
}

/// The configuration and the lines that `line` leads to.
pub fn accept(line: &str, env: &[(&str, &str)]) -> (Config, Vec<Notice>) {
    accept_args(&words(line), env)
}

pub fn accept_args(args: &[String], env: &[(&str, &str)]) -> (Config, Vec<Notice>) {
    match run(args, env) {
        Ok((Action::Run(config), notices)) => (*config, notices),
        other => panic!("{args:?} does not run: {other:?}"),
    }
}

/// The reason that `failed to verify flags` gives, of a failure with code 1.
pub fn refusal(line: &str, env: &[(&str, &str)]) -> String {
    let failure = run(&words(line), env).expect_err(line);
    assert_eq!((failure.exit_code, failure.stderr.as_str()), (1, ""), "{line}");
    let notice =
        failure.notices.iter().find(|notice| notice.message == "failed to verify flags").expect(line);
    assert_eq!(notice.level, Level::Warn);
    field(notice, "error")
}

/// The first line of standard error, of a failure with code 2.
pub fn usage_error(line: &str) -> String {
    let failure = run(&words(line), &[]).expect_err(line);
    assert_eq!((failure.exit_code, failure.notices.len()), (2, 0), "{line}");
    let (first, rest) = failure.stderr.split_once('\n').expect(line);
    assert!(rest.starts_with("Usage:\n"), "{line}");
    first.to_owned()
}

pub fn field(notice: &Notice, name: &str) -> String {
    let found = notice.fields.iter().find(|(field, _)| *field == name);
    match found.expect(name) {
        (_, Field::Text(text)) => text.clone(),
        (_, Field::Number(number)) => number.to_string(),
    }
}

/// Each line as `level message name=value ...`.
pub fn print(notices: &[Notice]) -> Vec<String> {
    let one = |notice: &Notice| {
        let fields: String =
            notice.fields.iter().map(|(name, _)| format!(" {name}={}", field(notice, name))).collect();
        format!("{:?} {}{fields}", notice.level, notice.message)
    };
    notices.iter().map(one).collect()
}

/// The lines that a start without flags earns anyway are left out.
pub fn extra(notices: &[Notice]) -> Vec<String> {
    let usual = ["Running http and grpc", "it isn't recommended to use default name", "'data-dir' was empty"];
    let is_extra = |notice: &&Notice| !usual.iter().any(|start| notice.message.starts_with(start));
    print(&notices.iter().filter(is_extra).cloned().collect::<Vec<_>>())
}
