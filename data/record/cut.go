package record

import "lwtrain/internal/prose"

// cutAnswers ends the answers that are trained on where the options say.
func (l Layout) cutAnswers(c Conversation) error {
	if l.cut.Words == 0 {
		return nil
	}
	for i, learned := range l.Targets(c).Of(c.Messages) {
		m := &c.Messages[i]
		if !learned || prose.Words(m.Content) <= l.cut.Words {
			continue
		}
		if m.Content = prose.CutAtSentence(m.Content, l.cut.Words); m.Content == "" {
			return unwanted("cut_answer", "messages[%d]: no sentence ends within its first %d words", i, l.cut.Words)
		}
	}
	return nil
}
