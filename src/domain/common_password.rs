//! Passwords that are guessed first.
//!
//! The policy asks for twelve characters, so of the lists of common passwords only the long ones matter, and nearly all of those are
//! made: something short written twice, a walk over the keyboard, a run of the alphabet, a common word with digits behind it. Such
//! makings are recognised, and what is common without being made is listed. Pure.

/// Rows of keyboards and runs people type; both directions count.
const RUNS: [&str; 13] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertyuiopasdfghjklzxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qazwsxedcrfvtgbyhnujmikolp",
    "azertyuiop",
    "qwertzuiop",
    "!@#$%^&*()",
];

/// Words that common passwords are made of, with digits and signs around them.
const WORDS: [&str; 72] = [
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "motdepasse",
    "contrasena",
    "senha",
    "parola",
    "letmein",
    "welcome",
    "willkommen",
    "bienvenue",
    "iloveyou",
    "ichliebedich",
    "jetaime",
    "admin",
    "administrator",
    "root",
    "user",
    "guest",
    "login",
    "master",
    "secret",
    "changeme",
    "default",
    "test",
    "testing",
    "computer",
    "internet",
    "football",
    "baseball",
    "basketball",
    "superman",
    "batman",
    "spiderman",
    "starwars",
    "pokemon",
    "princess",
    "sunshine",
    "dragon",
    "monkey",
    "shadow",
    "michael",
    "jessica",
    "charlie",
    "jordan",
    "hunter",
    "killer",
    "freedom",
    "whatever",
    "trustno",
    "liverpool",
    "chelsea",
    "arsenal",
    "barcelona",
    "realmadrid",
    "juventus",
    "qwerty",
    "qwertz",
    "azerty",
    "asdfgh",
    "zxcvbn",
    "abcdef",
    "dashtam",
    "finance",
    "money",
    "banking",
    "mybank",
    "bank",
    "january",
    "summer",
];

/// Long ones that are common without being made.
const LISTED: [&str; 12] = [
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "correct-horse-battery-staple",
    "thequickbrownfox",
    "the quick brown fox",
    "tobeornottobe",
    "to be or not to be",
    "maytheforcebewithyou",
    "may the force be with you",
    "ilovemyfamily",
    "imgonnakillyou",
    "whatthehellisthis",
];

/// Whether a password is one of those that are guessed first. Upper and lower case, and the usual signs for letters, are alike.
pub(super) fn is_common(password: &str) -> bool {
    let lower: Vec<char> = password.to_lowercase().chars().collect();
    let text: String = lower.iter().collect();
    LISTED.contains(&text.as_str()) || repeats(&lower) || walks(&lower) || is_decorated_word(&text)
}

/// Something of at most six characters, over and over: `abcabcabcabc`.
fn repeats(text: &[char]) -> bool {
    (1..=6).any(|period| text.len() >= 2 * period && text.iter().zip(&text[period..]).all(|(left, right)| left == right))
}

/// Made of at most three pieces that each run along a row: `qwertyuiop123`, `abcdef654321`.
fn walks(text: &[char]) -> bool {
    let mut rest = text;
    for _ in 0..3 {
        let piece = (3..=rest.len()).rev().find(|length| runs(&rest[..*length]));
        let Some(piece) = piece else { return false };
        rest = &rest[piece..];
        if rest.is_empty() {
            return true;
        }
    }
    false
}

/// Along one row, forwards or backwards.
fn runs(piece: &[char]) -> bool {
    let (forwards, backwards): (String, String) = (piece.iter().collect(), piece.iter().rev().collect());
    RUNS.iter().any(|row| row.contains(&forwards) || row.contains(&backwards))
}

/// A common word, or two, and nothing else but digits and signs: `Password2024!!`, `welcomeadmin`.
fn is_decorated_word(text: &str) -> bool {
    let letters_for_signs: String = text
        .chars()
        .map(|sign| match sign {
            '@' | '4' => 'a',
            '0' => 'o',
            '1' | '!' => 'i',
            '3' => 'e',
            '$' | '5' => 's',
            '7' => 't',
            other => other,
        })
        .collect();
    [text, &letters_for_signs].into_iter().any(|text| {
        let core = text.trim_matches(|sign: char| !sign.is_alphabetic());
        let mut rest = core;
        for _ in 0..2 {
            let word = WORDS.iter().filter(|word| rest.starts_with(**word)).max_by_key(|word| word.len());
            let Some(word) = word else { return false };
            rest = rest[word.len()..].trim_start_matches(|sign: char| !sign.is_alphabetic());
            if rest.is_empty() {
                return true;
            }
        }
        false
    })
}
