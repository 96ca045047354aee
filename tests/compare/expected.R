# Prints the numbers stored in tests/compare/expected.json.
#   Rscript expected.R > expected.json
# Debian: apt-get install r-base r-cran-lme4 r-cran-lmertest r-cran-vgam r-bioc-limma r-cran-jsonlite
suppressPackageStartupMessages({library(lme4); library(VGAM); library(limma); library(jsonlite)})

# 10 patients, two visits: cells of a population and of its denominator
n  <- c(31, 120, 14, 77, 205, 9, 52, 60, 18, 140,  22, 61, 15, 30, 99, 8, 20, 41, 4, 71)
of <- c(1000, 2100, 800, 1500, 3000, 700, 900, 1300, 1100, 2500,  1200, 1900, 950, 1400, 2800, 650, 1000, 1250, 990, 2300)
patient <- factor(rep(1:10, 2)); late <- rep(0:1, each = 10)

mixed <- glmer(cbind(n, of - n) ~ late + (1 | patient), family = binomial, nAGQ = 25,
               control = glmerControl(tolPwrss = 1e-12, optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-12)))
null <- glmer(cbind(n, of - n) ~ 1 + (1 | patient), family = binomial, nAGQ = 25)

bb <- vglm(cbind(n, of - n) ~ late, betabinomial(lrho = "logitlink", irho = 0.01), trace = FALSE, epsilon = 1e-10, maxit = 200)
bb0 <- vglm(cbind(n, of - n) ~ 1, betabinomial(lrho = "logitlink", irho = 0.01), trace = FALSE, epsilon = 1e-10, maxit = 200)

y <- outer(1:12, 1:8, function(i, j) sin(3.1 * i * j) * (0.4 + 0.15 * i) + 0.12 * i * (j > 4))
group <- rep(0:1, each = 4)
two <- eBayes(lmFit(y, model.matrix(~ group)))
pairs <- y[, 5:8] - y[, 1:4]
one <- eBayes(lmFit(pairs, matrix(1, 4, 1)))

value <- c(2.1, 3.3, 1.2, 2.8, 4.0, 2.2, 3.1, 1.9,  2.6, 3.2, 1.9, 3.3, 4.4, 2.1, 3.9, 2.0,  2.9, 3.9, 1.8, 3.0, 5.1, 2.9)
who <- factor(c(1:8, 1:8, 1:6)); visit <- factor(c(rep("a", 8), rep("b", 8), rep("c", 6)))
lin <- lmerTest::lmer(value ~ visit + (1 | who))
s <- coef(summary(lin))

# tubes of two visits: patient 1 has two tubes early, patient 7 none late; then patients who do not vary (singular)
tube <- c(1.31, 1.52, 0.88, 2.05, 1.12, 1.64, 0.71, 1.93,  1.95, 1.21, 2.31, 1.90, 1.83, 1.16)
tube_who <- factor(c(1, 1, 2, 3, 4, 5, 6, 7,  1, 2, 3, 4, 5, 6)); late_tube <- rep(0:1, c(8, 6))
two_visits <- coef(summary(lmerTest::lmer(tube ~ late_tube + (1 | tube_who))))
flat <- c(1.0, 1.4, 0.7, 1.2, 0.9, 1.1,  1.6, 1.1, 1.9, 1.3, 1.5, 1.2)
flat_who <- factor(rep(1:6, 2)); flat_late <- rep(0:1, each = 6)
singular <- coef(summary(lmerTest::lmer(flat ~ flat_late + (1 | flat_who))))
rows <- function(s) list(estimate = unname(s[, 1]), se = unname(s[, 2]), df = unname(s[, 3]), t = unname(s[, 4]), p = unname(s[, 5]))

# few cells, much variation: rho near 0.2; a covariate of the patient
n2  <- c(3, 14, 0, 9, 22, 5,  17, 1, 12, 25, 8, 19)
of2 <- c(40, 55, 12, 31, 60, 44,  38, 21, 30, 52, 18, 47)
late2 <- rep(0:1, each = 6); age2 <- rep(c(-1.5, -0.4, 0.2, 0.7, 1.1, 1.6), 2)
wide <- vglm(cbind(n2, of2 - n2) ~ late2 + age2, betabinomial(lrho = "logitlink", irho = 0.1), epsilon = 1e-10, maxit = 200)

may <- c(41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37)
august <- c(39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85)
i <- 1:26
hl <- wilcox.test(may + i / 100, august + sqrt(i) / 37, exact = FALSE, correct = FALSE, conf.int = TRUE)

out <- list(
  glmer = list(estimate = unname(fixef(mixed)), se = unname(sqrt(diag(as.matrix(vcov(mixed))))),
               sd = unname(attr(VarCorr(mixed)$patient, "stddev")), lrt = as.numeric(2 * (logLik(mixed) - logLik(null)))),
  vglm = list(estimate = unname(coef(bb)[c(1, 3)]), logit_rho = unname(coef(bb)[2]),
              se = unname(sqrt(diag(vcov(bb)))[c(1, 3)]), lrt = 2 * (logLik(bb) - logLik(bb0))),
  limma_two = list(t = unname(two$t[, 2]), p = unname(two$p.value[, 2]), df_prior = two$df.prior, s2_prior = two$s2.prior),
  limma_paired = list(t = unname(one$t[, 1]), p = unname(one$p.value[, 1]), df_prior = one$df.prior, s2_prior = one$s2.prior),
  lmer = list(estimate = unname(s[, 1]), se = unname(s[, 2]), df = unname(s[, 3]), t = unname(s[, 4]), p = unname(s[, 5])),
  lmer_two = rows(two_visits), lmer_singular = rows(singular),
  vglm_wide = list(estimate = unname(coef(wide)[c(1, 3, 4)]), logit_rho = unname(coef(wide)[2]),
                   se = unname(sqrt(diag(vcov(wide)))[c(1, 3, 4)])),
  wilcox_interval = list(estimate = unname(hl$estimate), ci = as.numeric(hl$conf.int)),
  bh = p.adjust(c(0.001, 0.2, 0.04, 0.04, 0.9, 0.012), "BH"),
  rank_sum = wilcox.test(c(2.1, 3.4, 2.8, 4.4, 3.0, 2.2, 3.9, 4.1, 2.4, 3.5), c(1.2, 2.3, 2.0, 3.1, 1.7, 2.6, 2.5, 1.9, 3.3),
                         exact = TRUE)$p.value,
  signed_rank_20 = wilcox.test(sin(1:20) + 0.4, exact = TRUE)$p.value,
  signed_rank = wilcox.test(c(1.2, 0.4, -0.3, 2.2, 1.7, 0.9, 1.1), exact = TRUE)$p.value
)
cat(toJSON(out, digits = 10, auto_unbox = TRUE, pretty = TRUE), "\n")
