//! What Harbor has no words for: tiers, policies, promotions, evidence, waivers, impact.
