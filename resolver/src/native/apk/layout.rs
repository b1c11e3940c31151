//! apk's wrapped lists: words after a label, broken at the width of the terminal and indented below the first word.
//! Never prints.

/// Lines under construction.
#[derive(Debug)]
pub(super) struct Layout {
    width: usize,
    x: usize,
    indent: usize,
    text: String,
}

impl Layout {
    /// Width as apk sees it: 50 when it does not write to a terminal.
    pub fn new(width: usize) -> Self {
        Self { width, x: 0, indent: 0, text: String::new() }
    }

    /// A line of its own.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        (self.x, self.indent) = (0, 0);
    }

    /// Starts a list unless one is open.
    pub fn group(&mut self, label: &str) {
        if self.x == 0 {
            self.text.push_str(label);
            self.x = label.len();
            self.indent = self.x + 1;
        }
    }

    /// Puts a word into the list.
    pub fn word(&mut self, word: &str) {
        let gap = if self.x <= self.indent {
            let gap = self.indent - self.x;
            self.x += gap + word.len();
            " ".repeat(gap)
        } else if self.x + word.len() + 1 >= self.width {
            self.x = self.indent + word.len();
            format!("\n{}", " ".repeat(self.indent))
        } else {
            self.x += word.len() + 1;
            " ".to_owned()
        };
        self.text.push_str(&gap);
        self.text.push_str(word);
    }

    /// Ends the list, if one is open.
    pub fn end(&mut self) {
        if self.x > 0 {
            self.text.push('\n');
        }
        (self.x, self.indent) = (0, 0);
    }

    /// What came of it, line by line.
    pub fn lines(self) -> Vec<String> {
        self.text.lines().map(str::to_owned).collect()
    }
}
