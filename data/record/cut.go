package record

import "lwtrain/internal/prose"

// cutAnswers ends the answers that are trained on where the options say.
func (l Layout) cutAnswers(c Conversation) error {
	if l.cut.Words == 0 {
		return nil
	}
	for i, learned := range l.Targets(c).Of(c.Messages) {
		m := &c.Messages[i]
		given, answer := m.Content[:m.Given], m.Content[m.Given:]
		if !learned || prose.Words(answer) <= l.cut.Words {
			continue
		}
		answer = prose.CutAtSentence(answer, l.cut.Words)
		if m.Content = given + answer; answer == "" {
			return unwanted("cut_answer", "messages[%d]: no sentence ends within its first %d words", i, l.cut.Words)
		}
	}
	return nil
}
