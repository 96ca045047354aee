# Rscript make_turnbull.R > expected/turnbull.json: Turnbull's estimate of four small cohorts by survfit (interval2)
suppressMessages({library(survival); library(jsonlite)})
set.seed(8); out<-list()
for(k in 1:4){ n<-c(12,30,60,25)[k]
 t<-rexp(n,1/40); w<-runif(n,3,25); l<-floor(t/w)*w; r<-l+w; l<-round(l+ifelse(l>0,runif(n),0),4); r<-round(r+runif(n),4)
 open<-runif(n)<.25; r[open]<-Inf
 exact<-rep(FALSE,n); if(k==4){exact<-runif(n)<.4; r[exact]<-l[exact]<-round(t[exact]+1,4)}
 f<-survfit(Surv(l,ifelse(is.finite(r),r,NA),type="interval2")~1)
 out[[k]]<-list(low=l,high=ifelse(is.finite(r),r,NA),time=f$time,surv=f$surv)
}
cat(toJSON(out,digits=15,na="string"))
