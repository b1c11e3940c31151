//! What lets a package of one world live on the other. Pure: takes text and facts, gives facts and actions.
