"""Why a metric dropped: which documents were lost and how, where they stand, and what that looks like."""
