package ingest

// A card number must never get in: not into a log that is kept for ever, not even refused. So it is looked for in every name, string and number of every body,
// by what makes one: 13 to 19 digits, alone or parted by single spaces or dashes, of an issuer's range (2 to 6), with a right check digit (Luhn, ISO/IEC 7812-1).
// Other digits around it, such as the expiry date, do not hide it. A UUID is none, though one in a thousand has the digits of one.
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

// mayHoldCard is the cheap look at a whole body, before anybody parses it.
func mayHoldCard(body []byte) bool { return hasCard(body) }

// hasCard looks at each longest run of digits, alone or parted by single separators.
func hasCard[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			continue
		}
		from := i
		for i++; i < len(s) && (isDigit(s[i]) || isSeparator(s[i]) && i+1 < len(s) && isDigit(s[i+1])); i++ {
		}
		if i-from >= cardDigitsMin && runHasCard(s, from, i) {
			return true
		}
	}
	return false
}

// runHasCard takes the run for a card number as a whole, each group of it alone, and groups that are parted as on a card: 4-4-4-4, 4-6-5, 4-6-4.
func runHasCard[T string | []byte](s T, from, to int) bool {
	for start := from; start < to; start = groupEnd(s, start, to) + 1 {
		var digits [cardDigitsMax]byte
		n, printed := 0, false
		for group := start; group < to; {
			end := groupEnd(s, group, to)
			size := end - group
			if n+size > cardDigitsMax {
				break
			}
			n += copy(digits[n:], s[group:end])
			whole, alone := start == from && end == to, group == start
			if n >= cardDigitsMin && (whole || alone || printed && size <= 6) && isCard(digits[:n]) && !inUUID(s, start, end) {
				return true
			}
			printed = alone && size == 4 || printed && (size == 4 || size == 6)
			group = end + 1
		}
	}
	return false
}

// groupEnd is where the digits from at on end.
func groupEnd[T string | []byte](s T, at, to int) int {
	for at < to && isDigit(s[at]) {
		at++
	}
	return at
}

const uuidLength = 36

// inUUID tells whether s[from:to] is a piece of a UUID.
func inUUID[T string | []byte](s T, from, to int) bool {
	for at := max(0, to-uuidLength); at <= from && at+uuidLength <= len(s); at++ {
		if isUUID(s[at : at+uuidLength]) {
			return true
		}
	}
	return false
}

func isUUID[T string | []byte](s T) bool {
	for i := range uuidLength {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if c := s[i]; dash != (c == '-') || !dash && !isDigit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isSeparator(c byte) bool { return c == ' ' || c == '-' }

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
