//! What the reading of a word gives.

/// What has been read, as a whole and in words.
#[derive(Default)]
pub struct Output {
    pub text: String,
    words: Vec<String>,
    /// The word that is being read, if one has begun.
    word: Option<String>,
}

impl Output {
    /// A character that ends a word if it is blank.
    pub fn push(&mut self, character: char) {
        self.text.push(character);
        match character.is_whitespace() {
            true => self.words.extend(self.word.take().filter(|word| !word.is_empty())),
            false => self.word.get_or_insert_default().push(character),
        }
    }

    /// A character that is part of the word whatever it is.
    pub fn push_raw(&mut self, character: char) {
        self.text.push(character);
        self.word.get_or_insert_default().push(character);
    }

    pub fn push_str(&mut self, text: &str) {
        text.chars().for_each(|character| self.push(character));
    }

    pub fn push_str_raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.get_or_insert_default().push_str(text);
    }

    pub fn finish(mut self) -> (String, Vec<String>) {
        self.words.extend(self.word.take().filter(|word| !word.is_empty()));
        (self.text, self.words)
    }
}
