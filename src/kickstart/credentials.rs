//! Who may log in: passwords and their hashes, public keys, names of accounts.

use super::arguments::Arguments;
use super::values::Wrong;
use base64::Engine;

/// What is wrong with a password that is given as its hash, or not.
pub(super) fn password(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    let text = match command {
        "user" | "bootloader" => arguments.value("--password"),
        _ => arguments.words.first().map(String::as_str),
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else { return };
    let crypted = arguments.has("--iscrypted");
    if command == "bootloader" {
        if crypted && !is_grub_hash(text) {
            wrong
                .push(("password", "the boot loader's password is not one that grub2-mkpasswd-pbkdf2 made".to_owned()));
        } else if !crypted && (text.starts_with("grub.pbkdf2.") || is_crypt_hash(text)) {
            wrong.push((
                "password",
                "'bootloader' is given a password hash as plain text: '--iscrypted' is missing".to_owned(),
            ));
        }
    } else if crypted {
        // The text itself is never shown: it may be a password.
        if let Some(why) = hash_problem(text) {
            wrong.push(("password", format!("'{command} --iscrypted' is given no password hash: {why}")));
        }
    } else if is_crypt_hash(text) {
        wrong.push((
            "password",
            format!("'{command}' is given a password hash as plain text: '--iscrypted' is missing"),
        ));
    }
}

/// Whether a text begins as a hash of crypt(3) does.
fn is_crypt_hash(text: &str) -> bool {
    ["$1$", "$5$", "$6$", "$y$", "$gy$", "$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start))
}

/// `grub.pbkdf2.sha512.ROUNDS.SALT.HASH`.
fn is_grub_hash(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let hex = |text: &str, least: usize| text.len() >= least && text.bytes().all(|b| b.is_ascii_hexdigit());
    matches!(parts[..], ["grub", "pbkdf2", "sha512", rounds, salt, hash]
        if rounds.parse::<u32>().is_ok() && hex(salt, 16) && hex(hash, 64))
}

/// Why a text is no crypt(3) hash; locked ones (`!`, `*`) are.
fn hash_problem(text: &str) -> Option<&'static str> {
    let text = text.strip_prefix('!').unwrap_or(text);
    if matches!(text, "" | "*" | "!" | "!!") {
        return None;
    }
    let base64 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    let Some(rest) = text.strip_prefix('$') else { return Some("it does not begin with $6$ or another method") };
    let mut fields = rest.split('$');
    let method = fields.next().unwrap_or_default();
    let fields: Vec<&str> = fields.collect();
    let (salts, digest) = match fields.split_last() {
        Some((digest, salts)) => (salts, *digest),
        None => return Some("it has no salt"),
    };
    let lengths: &[usize] = match method {
        "1" => &[22],
        "5" => &[43],
        "6" => &[86],
        "2a" | "2b" | "2y" | "2x" => &[53],
        "y" | "gy" | "7" => &[43],
        _ => return Some("its method is unknown"),
    };
    if salts.is_empty() {
        return Some("it has no salt");
    }
    if method.starts_with('2') && !matches!(salts[0].parse(), Ok(4..=31)) {
        return Some("its cost is no number from 4 to 31");
    }
    let counted = |salt: &&str| salt.strip_prefix("rounds=").is_some_and(|number| number.parse::<u32>().is_ok());
    if !base64(digest) || !salts.iter().all(|salt| base64(salt) || counted(salt)) {
        return Some("it has characters that no hash has");
    }
    (!lengths.contains(&digest.len())).then_some("its length is not that of its method")
}

/// What is wrong with the numbers and paths of a user or group.
pub(super) fn account_values(command: &str, arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    for option in ["--uid", "--gid"] {
        // The last number means nobody to the system's calls.
        if let Some(number) = arguments.number(option).filter(|number| !(0..i64::from(u32::MAX)).contains(number)) {
            wrong.push(("account", format!("'{command} {option}={number}' is no number that an account can have")));
        }
    }
    if command == "user" && arguments.number("--uid") == Some(0) && arguments.value("--name") != Some("root") {
        wrong.push(("account", "'user --uid=0' is a number that root has".to_owned()));
    }
    if arguments.value("--gecos").is_some_and(|text| text.contains([':', '\n'])) {
        wrong.push(("account", format!("'{command} --gecos' has a ':', which separates fields of /etc/passwd")));
    }
    for group in arguments.values("--groups").flat_map(|list| list.split(',')).map(str::trim) {
        // A group may come with the number it is to have: `data(1500)`.
        let (name, number) = match group.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').and_then(|number| number.parse::<u32>().ok())),
            None => (group, Some(0)),
        };
        if number.is_none() {
            wrong.push(("account", format!("'{group}' is no group with its number")));
        } else if !group.is_empty() {
            wrong.extend(account("group", name));
        }
    }
    for option in ["--homedir", "--shell"] {
        if let Some(path) = arguments.value(option).filter(|path| !path.is_empty() && !path.starts_with('/')) {
            wrong.push(("account", format!("'{command} {option}={path}' is no absolute path")));
        }
    }
}

/// A public key: its kind, and base64 that says the same kind.
pub(super) fn ssh_key(text: &str) -> Option<Wrong> {
    let kinds = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    let mut words = text.split_whitespace().skip_while(|word| !kinds.iter().any(|kind| word.starts_with(kind)));
    let wrong = |what: String| Some(("ssh-key", what));
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return wrong("the key is none: a kind such as ssh-ed25519 and its base64 are expected".to_owned());
    };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(key) else {
        return wrong("the key is none: it is not base64".to_owned());
    };
    // The key begins with its kind, led by its length.
    let length = bytes.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize);
    let said = length.and_then(|length| bytes.get(4..length.checked_add(4)?));
    match said {
        Some(said) if said == kind.as_bytes() && bytes.len() > said.len() + 8 => None,
        _ => wrong(format!("the key is none: its base64 is no key of kind '{kind}'")),
    }
}

/// The name of a user or group, as shadow-utils has it.
pub(super) fn account(noun: &str, name: &str) -> Option<Wrong> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let body = name.strip_suffix('$').unwrap_or(name);
    let fits = !body.is_empty()
        && name.len() <= 32
        && body.bytes().all(plain)
        && !body.starts_with('-')
        && !matches!(body, "." | "..")
        && !body.bytes().all(|b| b.is_ascii_digit());
    (!fits).then(|| ("account", format!("'{name}' is no name of a {noun}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes() {
        let six = format!("$6$salt${}", "a".repeat(86));
        for good in [
            six.as_str(),
            "!!",
            "*",
            &format!("!{six}"),
            &format!("$6$rounds=5000$salt${}", "b".repeat(86)),
            &format!("$1$abc${}", "c".repeat(22)),
        ] {
            assert_eq!(hash_problem(good), None, "{good}");
        }
        assert!(hash_problem(&format!("$6$rounds=many$salt${}", "b".repeat(86))).is_some());
        assert_eq!(hash_problem(&format!("$2b$12${}", "a".repeat(53))), None);
        assert!(hash_problem(&format!("$2b$99${}", "a".repeat(53))).is_some());
        for bad in ["plainpassword", "$6$abc$def", "$9$a$b", "$6$", "$6$salt", "abJnggxhB/yWI"] {
            assert!(hash_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn the_boot_loader_has_hashes_of_its_own() {
        let wrong = |text: &str, crypted: bool| {
            let arguments = Arguments::default().with("--password", text);
            let arguments = if crypted { arguments.with("--iscrypted", "") } else { arguments };
            let mut wrong = Vec::new();
            password("bootloader", &arguments, &mut wrong);
            wrong.len()
        };
        let hash = format!("grub.pbkdf2.sha512.10000.{}.{}", "AB".repeat(32), "0F".repeat(64));
        assert_eq!(wrong(&hash, true) + wrong("secret", false), 0);
        for (text, crypted) in [(hash.as_str(), false), ("grub.pbkdf2.sha512.x", true), ("x", true), ("$6$a$b", false)]
        {
            assert_eq!(wrong(text, crypted), 1, "{text}");
        }
    }

    #[test]
    fn keys_say_their_kind() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here";
        assert_eq!(ssh_key(key), None);
        assert_eq!(ssh_key(&format!("from=\"10.1.1.1\" {key}")), None);
        for wrong in [
            "",
            "ssh-rsa",
            "ssh-rsa AAA",
            &key.replace("ssh-ed25519 ", "ssh-rsa "),
            &key.replace("AAAAC3", "AAAAC4"),
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "ssh-ed25519 /////w==",
        ] {
            assert!(ssh_key(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn accounts_have_numbers_and_absolute_paths() {
        let wrong = |option: &str, value: &str| {
            let mut wrong = Vec::new();
            account_values("user", &Arguments::default().with(option, value), &mut wrong);
            wrong.len()
        };
        assert_eq!(wrong("--uid", "1") + wrong("--gid", "4294967294") + wrong("--shell", "/bin/zsh"), 0);
        assert_eq!(wrong("--groups", "wheel, data(1500)") + wrong("--gecos", "A. B."), 0);
        for (option, value) in [("--groups", "x y"), ("--groups", "a(b)"), ("--gecos", "a:b"), ("--uid", "0")] {
            assert_eq!(wrong(option, value), 1, "{option} {value}");
        }
        for (option, value) in [("--uid", "-1"), ("--gid", "4294967295"), ("--homedir", "home/a"), ("--shell", "zsh")] {
            assert_eq!(wrong(option, value), 1, "{option} {value}");
        }
    }

    #[test]
    fn accounts_have_names() {
        for name in ["admin", "a.b", "x-1", "_svc", "HOST$"] {
            assert_eq!(account("user", name), None);
        }
        for name in ["", "-a", "a:b", "a b", "..", "123", "\u{fc}", &"a".repeat(33)] {
            assert!(account("user", name).is_some(), "{name}");
        }
    }
}
