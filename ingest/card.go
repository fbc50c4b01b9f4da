package ingest

// A card number must never get in: not into a log that is kept for ever, not even refused. So it is looked for in every name, string and number of every body,
// by what makes one: 13 to 19 digits, alone or parted by single spaces or dashes, of an issuer's range (2 to 6), with a right check digit (Luhn, ISO/IEC 7812-1).
// By chance one in ten numbers of that length passes; they are refused too, and the rule says how to write them.

const (
	cardDigitsMin = 13
	cardDigitsMax = 19

	codeCardNumber = "CARD_NUMBER"
	ruleCardNumber = "must not hold a card number: send the payment provider's token; a number that only looks like one can be sent with a letter within it"
)

// findCard is asked about every text of a body.
func findCard(text string) (code, rule string) {
	if hasCard(text) {
		return codeCardNumber, ruleCardNumber
	}
	return "", ""
}

// digitRuns calls yield with each longest run of digits of s, its separators left out, until yield answers false.
func digitRuns[T string | []byte](s T, yield func(run []byte) bool) {
	var buf [cardDigitsMax + 1]byte // one more than the most tells a longer run
	n, gap := 0, false
	for i := 0; i <= len(s); i++ {
		switch {
		case i < len(s) && s[i] >= '0' && s[i] <= '9':
			if n < len(buf) {
				buf[n] = s[i]
				n++
			}
			gap = false
			continue
		case i < len(s) && n > 0 && !gap && (s[i] == ' ' || s[i] == '-'):
			gap = true
			continue
		}
		if n >= cardDigitsMin && n <= cardDigitsMax && !yield(buf[:n]) {
			return
		}
		n, gap = 0, false
	}
}

// mayHoldCard is the cheap look at a whole body, before anybody parses it.
func mayHoldCard(body []byte) bool {
	found := false
	digitRuns(body, func(run []byte) bool {
		found = isCard(run)
		return !found
	})
	return found
}

func hasCard(text string) bool {
	if len(text) < cardDigitsMin {
		return false
	}
	found := false
	digitRuns(text, func(run []byte) bool {
		found = isCard(run)
		return !found
	})
	return found
}

// isCard checks the first digit and the Luhn sum.
func isCard(digits []byte) bool {
	if digits[0] < '2' || digits[0] > '6' {
		return false
	}
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
