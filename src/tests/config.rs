//! Configuration: what is read from where, and what is refused by name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{net::SocketAddr, path::Path};

use dashtam::config::{Config, Environment, without_effect};
use secrecy::ExposeSecret as _;

fn pairs<'a>(environment: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

fn read(environment: &[(&str, &str)]) -> Config {
    Config::read(None, pairs(environment)).unwrap()
}

fn refusal(environment: &[(&str, &str)]) -> String {
    format!("{:#}", Config::read(None, pairs(environment)).unwrap_err())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn without_anything_set_a_server_is_for_production_and_for_this_machine() {
    let config = read(&[]);
    assert_eq!((config.environment, config.bind, config.passwords.cost), (Environment::Production, SocketAddr::from(([127, 0, 0, 1], 8080)), 12));
    assert!(config.is_embedded() && config.jwt.secret.is_none() && !config.has_sandbox(config.bind));
}

#[test]
fn a_name_nobody_knows_is_refused_by_that_name() {
    for (name, named) in [
        ("DASHTAM_NONSENSE", "nonsense"),
        ("DASHTAM_JWT__SECRETS", "secrets"),
        ("DASHTAM_BIND_FILE", "bind_file"),
        ("DASHTAM_JWT_SECRET", "jwt_secret"),
        ("DASHTAM_PASSWORDS__PEPPER", "pepper"),
        ("DASHTAM_REDIS_URLS", "redis_urls"),
    ] {
        let refusal = refusal(&[(name, "a-value-canary")]);
        assert!(refusal.contains(named) && !refusal.contains("canary"), "{name}: {refusal}");
    }
    let toml = file("[sandbox]\nsed = 7\n");
    assert!(format!("{:#}", Config::read(Some(toml.path()), pairs(&[])).unwrap_err()).contains("sed"));
    read(&[("PATH", "/bin"), ("DASHTAMX", "1"), ("dashtam_bind", "nonsense"), ("DASHTAM_REQUIRE_PLAYGROUND", "1")]);
}

#[test]
fn names_that_are_fixed_are_accepted_even_where_they_have_no_effect_yet() {
    let fixed = [
        ("DASHTAM_REDIS_URL", "redis://127.0.0.1"),
        ("DASHTAM_REDIS_URL_FILE", "/run/secrets/redis"),
        ("DASHTAM_RATE_LIMITS__ENABLED", "true"),
        ("DASHTAM_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("DASHTAM_CORS__ORIGINS", "https://app.example"),
        ("DASHTAM_SMTP__URL", "smtp://127.0.0.1"),
        ("DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET", "secret"),
    ];
    read(&fixed);
    assert_eq!(without_effect(pairs(&fixed)).len(), fixed.len(), "whoever sets them is told");
    assert!(without_effect(pairs(&[("DASHTAM_BIND", "127.0.0.1:1"), ("REDIS_URL", "x")])).is_empty());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let toml = file("bind = \"127.0.0.1:9000\"\nenvironment = \"development\"\n[sandbox]\nseed = 5\n[links]\nreturn_urls = [\"https://a.example\"]\n");
    let config = Config::read(Some(toml.path()), pairs(&[("DASHTAM_BIND", "127.0.0.1:9001")])).unwrap();
    assert_eq!((config.bind.port(), config.environment, config.sandbox.seed, config.passwords.cost), (9001, Environment::Development, 5, 12));
    assert_eq!(config.links.return_urls, ["https://a.example"]);
    let absent = Config::read(Some(Path::new("/nonexistent/dashtam.toml")), pairs(&[])).unwrap_err();
    assert!(absent.to_string().contains("/nonexistent/dashtam.toml"));
}

#[test]
fn a_secret_is_text_whatever_it_looks_like_and_may_come_from_a_file() {
    for text in ["12345678901234567890123456789012", "true", "[1, 2]", "{a = 1}", "\"quoted\"", "1e9", " spaces ", "null"] {
        assert_eq!(read(&[("DASHTAM_JWT__SECRET", text)]).jwt.secret.unwrap().expose_secret(), text);
    }
    let secret = file("from a file, with its line break\r\n");
    let config = read(&[("DASHTAM_JWT__SECRET_FILE", secret.path().to_str().unwrap())]);
    assert_eq!(config.jwt.secret.as_ref().unwrap().expose_secret(), "from a file, with its line break");
    assert!(!format!("{config:?}").contains("from a file"), "a configuration is printed without its secrets");
    let refusal = refusal(&[("DASHTAM_ENCRYPTION__KEYS_FILE", "/nonexistent/keys")]);
    assert!(refusal.contains("DASHTAM_ENCRYPTION__KEYS_FILE"), "{refusal}");
}

#[test]
fn our_own_name_of_the_database_wins_over_the_common_one_in_any_order() {
    let of = |environment: &[(&str, &str)]| read(environment).database().expose_secret().to_owned();
    let (own, common) = (("DASHTAM_DATABASE_URL", "postgres://own"), ("DATABASE_URL", "postgres://common"));
    assert_eq!(of(&[common]), "postgres://common");
    assert_eq!((of(&[own, common]), of(&[common, own])), ("postgres://own".to_owned(), "postgres://own".to_owned()));
    let secret = file("postgres://filed\n");
    let filed = ("DASHTAM_DATABASE_URL_FILE", secret.path().to_str().unwrap());
    assert_eq!((of(&[filed, common]), of(&[common, filed])), ("postgres://filed".to_owned(), "postgres://filed".to_owned()));
    assert!(!read(&[own]).is_embedded() && read(&[("DATABASE_URL", "sqlite://x.db")]).is_embedded());
    assert_eq!(of(&[("DASHTAM_DATA_DIR", "/data")]), "sqlite:///data/dashtam.db?mode=rwc");
}

#[test]
fn folders_and_lists_are_read_as_people_write_them() {
    for folder in ["2026", "true", "1.5", "/var/lib/dashtam", "with space", "[x]"] {
        assert_eq!(read(&[("DASHTAM_DATA_DIR", folder)]).data_dir, Path::new(folder));
    }
    let urls = |text: &str| read(&[("DASHTAM_LINKS__RETURN_URLS", text)]).links.return_urls;
    assert_eq!(urls("https://a.example"), ["https://a.example"]);
    assert_eq!(urls("https://a.example, https://b.example/linked ,"), ["https://a.example", "https://b.example/linked"]);
    assert_eq!(urls(r#"["https://a.example", "https://b.example"]"#), ["https://a.example", "https://b.example"]);
    assert_eq!(urls(""), Vec::<String>::new());
    for wrong in ["nonsense", "ftp://a.example", "https://a.example?x=1", "https://a.example#x", "javascript:alert(1)"] {
        assert!(refusal(&[("DASHTAM_LINKS__RETURN_URLS", wrong)]).contains("links.return_urls"), "{wrong}");
    }
}

#[test]
fn a_public_url_is_an_origin() {
    let config = read(&[("DASHTAM_PUBLIC_URL", "https://money.example.com/")]);
    assert_eq!(config.public_url(config.bind), "https://money.example.com");
    for wrong in ["https://money.example.com/path", "https://money.example.com/?x", "ftp://money.example.com", "money.example.com", "https://", "2026"] {
        let refusal = refusal(&[("DASHTAM_PUBLIC_URL", wrong)]);
        assert!(refusal.to_lowercase().contains("public_url"), "{wrong}: {refusal}");
    }
    let config = read(&[]);
    assert_eq!(config.public_url("0.0.0.0:80".parse().unwrap()), "http://localhost:80");
    assert_eq!(config.public_url("[::1]:80".parse().unwrap()), "http://[::1]:80");
}

#[test]
fn the_cost_of_passwords_has_bounds_that_depend_on_the_environment() {
    let cost = |environment: &str, cost: &str| Config::read(None, pairs(&[("DASHTAM_ENVIRONMENT", environment), ("DASHTAM_PASSWORDS__COST", cost)]));
    for (environment, accepted, refused) in [("production", ["10", "16"], ["9", "17"]), ("development", ["4", "16"], ["3", "17"])] {
        assert!(accepted.iter().all(|number| cost(environment, number).is_ok()), "{environment}");
        assert!(refused.iter().all(|number| cost(environment, number).is_err_and(|refusal| refusal.to_string().contains("passwords.cost"))), "{environment}");
    }
    assert!(cost("production", "-1").is_err() && cost("production", "many").is_err() && cost("staging", "12").is_err());
}

#[test]
fn the_sandbox_bank_is_there_in_development_on_this_machine_only() {
    let development = read(&[("DASHTAM_ENVIRONMENT", "development")]);
    assert!(development.has_sandbox("127.0.0.1:80".parse().unwrap()) && development.has_sandbox("[::1]:80".parse().unwrap()));
    assert!(!development.has_sandbox("0.0.0.0:80".parse().unwrap()) && !development.has_sandbox("192.0.2.1:80".parse().unwrap()));
    assert!(!read(&[]).has_sandbox("127.0.0.1:80".parse().unwrap()));
}
