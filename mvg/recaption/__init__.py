"""From a clinical report to a progression plan (section 4.1): rules that need no network, no key and no model."""
