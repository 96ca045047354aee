# Expected values of tests/clinical/test_against_r.py: small cohorts with ties, late entry, strata, empty groups.
# Rscript make_expected.R expected/cohorts.json     (R 4.2.2, survival 3.5-3, cmprsk 2.2-11, maxstat 0.7-25, coin 1.4-2)
suppressMessages({library(survival); library(cmprsk); library(maxstat); library(coin); library(jsonlite)})
num <- function(x) unname(as.numeric(x))
try_na <- function(x, n) tryCatch(x, error = function(e) rep(NA, n))
cohort <- function(seed, n, decimals, p_event, kind) {
  set.seed(seed)
  t <- ceiling(rexp(n, 1 / 12) * 10^decimals) / 10^decimals
  d <- rbinom(n, 1, p_event)
  if (kind == "all_censored") d <- rep(0, n)
  if (kind == "all_events") d <- rep(1, n)
  if (kind == "censored_first") d[order(t)[1:3]] <- 0
  if (kind == "half") { t <- sample(n); d <- as.integer(t <= n / 2) }
  if (kind == "near") t <- t / 30.4375 + ifelse(runif(n) < 0.5, 1e-12, 0)
  data.frame(t = t, d = d, code = ifelse(d == 1, rbinom(n, 1, 0.35) + 1, 0), g = sample(c("a", "b", "c"), n, TRUE, c(.5, .35, .15)),
             s = sample(1:2, n, TRUE), x = round(rnorm(n), 2), entry = pmin(round(runif(n) * 3, 1), t * 0.5))
}
one <- function(z) {
  r <- list(data = z); times <- c(0, 0.5, 3, 6, 12, 24, 60)
  for (ct in c("log-log", "log", "plain", "logit", "arcsin")) {
    f <- survfit(Surv(t, d) ~ 1, z, conf.type = ct); s <- summary(f, times = times, extend = TRUE); q <- quantile(f); m <- summary(f)$table
    r$km[[ct]] <- list(surv = s$surv, lower = s$lower, upper = s$upper, risk = s$n.risk, median = num(m[c("median", "0.95LCL", "0.95UCL")]),
                       quantile = num(q$quantile), qlower = num(q$lower), qupper = num(q$upper))
  }
  f <- survfit(Surv(t, d) ~ g, z, conf.type = "log-log"); m <- summary(f)$table
  r$medians <- lapply(seq_len(nrow(m)), function(i) num(m[i, c("records", "events", "median", "0.95LCL", "0.95UCL")]))
  f <- survfit(Surv(entry, t, d) ~ 1, z, conf.type = "log-log"); s <- summary(f, times = times, extend = TRUE)
  r$late <- list(surv = s$surv, lower = s$lower, upper = s$upper)
  m <- summary(survfit(Surv(t, d) ~ 1, z), rmean = 10)$table; r$rmst <- num(m[c("rmean", "se(rmean)")])
  if (sum(z$d) > 0) {
    a <- survdiff(Surv(t, d) ~ g, z); b <- survdiff(Surv(t, d) ~ g + strata(s), z); p <- survdiff(Surv(t, d) ~ g, z, rho = 1)
    r$logrank <- c(a$chisq, length(a$n) - 1); r$stratified <- b$chisq; r$rho1 <- p$chisq
    for (ti in c("efron", "breslow", "exact")) { m <- coxph(Surv(t, d) ~ x + s, z, ties = ti, control = coxph.control(eps = 1e-12, iter.max = 60))
      r$cox[[ti]] <- list(coef = num(coef(m)), se = num(sqrt(diag(vcov(m)))), loglik = m$loglik, score = m$score) }
    m <- coxph(Surv(t, d) ~ x + s, z); r$zph <- try_na(num(cox.zph(m)$table[, 1]), 3); r$concordance <- num(summary(m)$concordance)
    r$zph_rank <- try_na(num(cox.zph(m, "rank")$table[, 1]), 3)
    m <- coxph(Surv(entry, t, d) ~ x + strata(s), z, control = coxph.control(eps = 1e-12)); r$late_strata <- c(num(coef(m)), num(sqrt(vcov(m))), m$loglik)
    r$late_strata_zph <- try_na(num(cox.zph(m)$table[1, 1]), 1)
    zr <- transform(z, t = round(t, 9))  # maxstat and cmprsk do not join times that differ by rounding only
    e <- maxstat.test(Surv(t, d) ~ x, zr, smethod = "LogRank", pmethod = "Lau94"); e2 <- maxstat.test(Surv(t, d) ~ x, zr, smethod = "LogRank", pmethod = "Lau92")
    r$maxstat <- c(num(e$estimate), num(e$statistic), num(e$p.value), num(e2$p.value))
    w <- wilcox_test(x ~ factor(s), z, distribution = "exact"); r$rank_sum <- num(pvalue(w))
  }
  if (length(unique(z$code)) == 3) {
    ci <- cuminc(round(z$t, 9), z$code, z$g); tp <- timepoints(ci, c(3, 6, 12)); r$cuminc <- list(curves = rownames(tp$est), est = unname(tp$est), var = unname(tp$var), gray = unname(ci$Tests[, 1]))
    r$aj <- { f <- survfit(Surv(t, factor(code, 0:2)) ~ 1, z); s <- summary(f, times = c(3, 6, 12), extend = TRUE); list(p = s$pstate, se = s$std.err) }
  }
  r
}
set <- list(c(1, 40, 0, .7, "ties"), c(2, 40, 2, .7, "plain"), c(3, 25, 0, .5, "censored_first"), c(4, 20, 1, .5, "all_censored"),
            c(5, 24, 0, 1, "all_events"), c(6, 20, 0, .5, "half"), c(7, 40, 0, .6, "near"), c(8, 90, 0, .6, "ties"))
res <- lapply(set, function(s) suppressWarnings(one(cohort(as.integer(s[1]), as.integer(s[2]), as.numeric(s[3]), as.numeric(s[4]), s[5]))))
names(res) <- sapply(set, function(s) paste0(s[5], s[1]))
write(toJSON(res, auto_unbox = TRUE, digits = I(15), na = "string", dataframe = "columns"), commandArgs(TRUE)[1])
